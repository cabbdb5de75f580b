"""The table `idempotency_keys`: the answers that a repeated submission gets again."""

from datetime import timedelta
from typing import Final

from django.db import models
from django.db.models import Q

KEPT_FOR: Final = timedelta(hours=24)


class IdempotencyKey(models.Model):
    """The first answer to a submission with an `Idempotency-Key`.

    Attributes:
        key_hmac: of the key that the client sent.
        body_hmac: of the raw body; a plain digest of a refused text would be a trace of it.
        task: None if the gate refused the submission.
        priority: of the accepted task, which may change later.
        redacted_types: the types that were replaced in the accepted task.
        refused_for: the kinds of finding that blocked; None if the task was accepted.
        reason: why the gate refused the submission if no finding explains it.
    """

    pk = models.CompositePrimaryKey("client_id", "key_hmac")
    client = models.ForeignKey(
        "tasks.Client",
        on_delete=models.PROTECT,
        related_name="+",
        # The primary key begins with it.
        db_index=False,
        # As in `tasks`.
        db_constraint=False,
    )
    key_hmac = models.BinaryField()
    body_hmac = models.BinaryField()
    task = models.ForeignKey(
        "tasks.Task", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    priority = models.TextField(default="")
    redacted_types = models.JSONField(default=list)
    refused_for = models.JSONField(null=True)
    reason = models.TextField(default="")
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "idempotency_keys"
        default_permissions = ()
        indexes = (
            # `manage.py prune` deletes expired keys.
            models.Index(fields=["expires_at"], name="idx_idempotency_keys_expires"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(
                    task__isnull=False, priority__gt="", refused_for__isnull=True, reason=""
                )
                | Q(task__isnull=True, priority="", refused_for__isnull=False),
                name="idempotency_keys_one_answer",
            ),
        )

    def __str__(self) -> str:
        return str(self.task_id or "refused")
