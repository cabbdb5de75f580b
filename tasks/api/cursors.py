"""Signed cursors: where the next page of a list begins.

A cursor is bound to its list, its client and its filters. Changed by hand, or used elsewhere, it is
refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.core.signing import BadSignature, Signer
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from tasks.listing import Page, TaskPosition

CURSOR: Final = "cursor"
_FAULT: Final = {
    CURSOR: [
        "This is no cursor of this list with these filters. Follow `next` and `previous` as they "
        "are, or begin without a cursor."
    ]
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Cursor:
    """A place in a list.

    Attributes:
        position: JSON values that name a row.
        is_backward: whether the page ends before the row; it begins after the row otherwise.
    """

    position: list[Any]
    is_backward: bool = False


class Cursors:
    """The cursors of one list.

    Args:
        parts: what the list depends on, such as its client and its filters.
    """

    def __init__(self, *parts: object) -> None:
        self._signer = Signer(salt=f"tasks.api.cursors:{parts!r}")

    def read(self, text: str | None) -> Cursor | None:
        """Return the cursor that a client sends, None if it sends none.

        Raises:
            ValidationError: it is not a cursor of this list.
        """
        if text is None:
            return None
        try:
            is_backward, *position = self._signer.unsign_object(text)
        except (BadSignature, ValueError, TypeError) as error:
            raise ValidationError(_FAULT) from error
        return Cursor(position, bool(is_backward))

    def links(
        self,
        request: Request,
        page: Page[Any],
        position_of: Callable[[Any], list[Any]],
        parameters: Mapping[str, Any],
    ) -> dict[str, str | None]:
        """Return the URLs of the pages around `page`.

        Args:
            position_of: returns the JSON values that name a row.
            parameters: of the query, without the cursor.
        """

        def link(row: Any, *, is_backward: bool) -> str:
            signed = self._signer.sign_object([int(is_backward), *position_of(row)])
            query = urlencode({**parameters, CURSOR: signed}, doseq=True)
            return str(request.build_absolute_uri(f"{request.path}?{query}"))

        rows = page.rows
        return {
            "next": link(rows[-1], is_backward=False) if page.has_more and rows else None,
            "previous": link(rows[0], is_backward=True) if page.has_earlier and rows else None,
        }


def task_position(cursor: Cursor | None) -> TaskPosition | None:
    if cursor is None:
        return None
    microseconds, task_id = cursor.position
    return TaskPosition(_EPOCH + timedelta(microseconds=microseconds), UUID(hex=task_id))


def position_of_task(task: Any) -> list[Any]:
    return [(task.created_at - _EPOCH) // timedelta(microseconds=1), task.id.hex]
