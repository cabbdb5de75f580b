"""Idempotency keys: a repeated submission gets the first answer, and asks nobody.

The key, the receipt and the task are stored by one statement. So of many requests at the same time
one stores its answer, and a process that is killed leaves all of it or nothing.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection
from django.utils import timezone
from django.utils.crypto import salted_hmac

from safety.findings import Kind
from tasks.clients.exceptions import IdempotencyKeyReused, IdempotencyKeyUnusable
from tasks.exceptions import SubmissionBlocked
from tasks.models import IdempotencyKey, Task
from tasks.models.idempotency_key import KEPT_FOR
from tasks.states import Status

MAX_KEY_CHARACTERS: Final = 255
_PRINTABLE: Final = re.compile(rf"[ -~]{{1,{MAX_KEY_CHARACTERS}}}")

_FIND: Final = """
    SELECT body_hmac, task_id, tasks.goal, tasks.context, tasks.created_at,
        idempotency_keys.priority, redacted_types, refused_for, reason
    FROM idempotency_keys LEFT JOIN tasks ON tasks.id = task_id
    WHERE idempotency_keys.client_id = %s AND key_hmac = %s AND expires_at > clock_timestamp()
"""


class Accepted(NamedTuple):
    """An accepted submission.

    Attributes:
        redacted_types: the types of personal data that were replaced before the task was stored.
        is_replayed: whether the answer is that of an earlier request.
    """

    task: Task
    redacted_types: list[str]
    is_replayed: bool = False


@dataclass(frozen=True)
class Claim:
    """What a submission with an idempotency key is known by."""

    client_id: UUID
    key_hmac: bytes
    body_hmac: bytes

    def accepts(self, task: Task, redacted_types: list[str]) -> IdempotencyKey:
        """Return the row that keeps the answer to an accepted submission."""
        return self._row(task=task, priority=task.priority, redacted_types=redacted_types)

    def refuses(self, error: SubmissionBlocked) -> IdempotencyKey:
        """Return the row that keeps the answer to a submission that the gate refuses."""
        return self._row(refused_for=sorted(error.kinds), reason=error.reason)

    def _row(self, **answer: Any) -> IdempotencyKey:
        return IdempotencyKey(
            client_id=self.client_id,
            key_hmac=self.key_hmac,
            body_hmac=self.body_hmac,
            expires_at=timezone.now() + KEPT_FOR,
            **answer,
        )

    def first_answer(self) -> Accepted | None:
        """Return the answer to the first submission with this key, None if there is none.

        Raises:
            IdempotencyKeyReused: the first submission had another body.
            SubmissionBlocked: the gate refused the first submission.
        """
        with connection.cursor() as cursor:
            cursor.execute(_FIND, [self.client_id, self.key_hmac])
            row = cursor.fetchone()
        if row is None:
            return None
        body_hmac, task_id, goal, context, created_at, priority, types, refused_for, reason = row
        if bytes(body_hmac) != self.body_hmac:
            raise IdempotencyKeyReused
        if task_id is None:
            kinds = frozenset(map(Kind, json.loads(refused_for)))
            raise SubmissionBlocked(kinds, reason, is_replayed=True)
        task = Task(
            id=task_id,
            goal=goal,
            status=Status.PENDING,
            priority=priority,
            # What the metadata were then.
            task_metadata=json.loads(context),
            created_at=created_at,
        )
        return Accepted(task, json.loads(types), is_replayed=True)


def claim_of(client_id: UUID | None, key: str, body: bytes) -> Claim:
    """Return the claim of a submission.

    Raises:
        IdempotencyKeyUnusable: the key is malformed, or the caller anonymous.
    """
    if client_id is None:
        raise IdempotencyKeyUnusable(
            "Idempotency-Key needs an API key or token: it is kept for each client."
        )
    if not _PRINTABLE.fullmatch(key):
        raise IdempotencyKeyUnusable(
            f"Idempotency-Key must be 1 to {MAX_KEY_CHARACTERS} printable ASCII characters."
        )
    return Claim(client_id, _hmac("key", key.encode()), _hmac("body", body))


def _hmac(name: str, value: bytes) -> bytes:
    return salted_hmac(f"tasks.clients.idempotency.{name}", value, algorithm="sha256").digest()
