"""The table `receipts`: the stored record of each screening, without any text of it."""

import uuid
from datetime import datetime
from typing import Final

from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.indexes import GinIndex
from django.db import connections, models
from django.db.models import Q, Value
from django.db.models.functions import Now

from safety.policy import Verdict

# Clients choose request ids, and one may send the same with every request.
MAX_SAME_REQUEST_ID: Final = 1_000
# The most receipts, and the most with findings, that one number of the dashboard counts: as many as
# a busy week has. Counting them takes less than a tenth of a second.
MAX_RECENT: Final = 300_000
MAX_RECENT_FOUND: Final = 50_000


class ReceiptVerdict(models.TextChoices):
    SAFE = Verdict.SAFE.value
    FLAGGED = Verdict.FLAGGED.value
    BLOCKED = Verdict.BLOCKED.value
    UNSCREENED = Verdict.UNSCREENED.value
    # There is no verdict, and so neither a task nor a refusal.
    NONE = "none"


# Submissions with these verdicts have no task that a receipt could name.
WITHOUT_SUBJECT: Final = (ReceiptVerdict.BLOCKED, ReceiptVerdict.NONE)


class Occasion(models.TextChoices):
    """Why something was screened."""

    SUBMISSION = "submission"
    # What an arm answered is text from outside, too.
    ANSWER = "answer"


class ReceiptQuerySet(models.QuerySet["Receipt"]):
    def of_submission(self, subject_id: uuid.UUID) -> "ReceiptQuerySet":
        """Return the receipt of the submission that became this subject: one or none."""
        return self.filter(subject_id=subject_id, occasion=Occasion.SUBMISSION)

    def of_answers(self, subject_id: uuid.UUID) -> "ReceiptQuerySet":
        """Return the receipts of the answers to this subject's calls, the newest first."""
        return self.filter(subject_id=subject_id, occasion=Occasion.ANSWER).order_by("-created_at")

    def subject_ids_with_request_id(self, request_id: str) -> list[uuid.UUID]:
        """Return the subjects of the newest `MAX_SAME_REQUEST_ID` submissions with this request id.

        Refused submissions have no subject.
        """
        submissions = self.filter(request_id=request_id, occasion=Occasion.SUBMISSION)
        newest = submissions.order_by("-created_at").values_list("subject_id", flat=True)
        return [subject for subject in newest[:MAX_SAME_REQUEST_ID] if subject is not None]

    def with_finding_of_type(self, name: str) -> "ReceiptQuerySet":
        return self.filter(types__contains=[name])

    def count_by_hour(self, *, since: datetime) -> dict[tuple[datetime, "ReceiptVerdict"], int]:
        """Return the number of submissions by hour (UTC) and verdict, without zeros.

        At most the newest `MAX_RECENT` are counted.
        """
        with connections[self.db].cursor() as cursor:
            cursor.execute(
                """
                SELECT date_bin('1 hour', created_at, 'epoch'), verdict, count(*)
                FROM (
                    SELECT created_at, verdict FROM receipts
                    WHERE occasion = 'submission' AND created_at >= %s
                    ORDER BY created_at DESC LIMIT %s
                ) AS newest
                GROUP BY 1, 2
                """,
                [since, MAX_RECENT],
            )
            return {
                (hour, ReceiptVerdict(verdict)): count for hour, verdict, count in cursor.fetchall()
            }

    def count_by_type(self, *, since: datetime, limit: int) -> dict[str, int]:
        """Return the number of submissions with findings of each type, the most frequent first.

        At most the newest `MAX_RECENT_FOUND` with findings are counted.
        """
        with connections[self.db].cursor() as cursor:
            cursor.execute(
                """
                SELECT type, count(*)
                FROM (
                    SELECT types FROM receipts
                    WHERE types <> '[]' AND occasion = 'submission' AND created_at >= %s
                    ORDER BY created_at DESC LIMIT %s
                ) AS newest, jsonb_array_elements_text(types) AS type
                GROUP BY type ORDER BY count(*) DESC, type LIMIT %s
                """,
                [since, MAX_RECENT_FOUND, limit],
            )
            return dict(cursor.fetchall())


class Receipt(models.Model):
    """The findings and the verdict of one screening, without the screened text.

    Attributes:
        subject_id: of a submission, the id of what it became; None if it was refused or has no
            verdict. Of an answer, the id of what was asked for, whatever the verdict.
        occasion: why it was screened; a subject has one receipt of its submission, and any number
            of receipts of answers.
        reason: why there is no verdict, or why the text is blocked if no finding explains it.
        findings: dicts of `kind`, `type`, `severity`, `confidence`, `places` and
            `places_count`, each place a dict of `field`, `start` and `end` in characters, and
            `is_key`. The first `MAX_FINDINGS`, with the first `MAX_PLACES_PER_FINDING` places.
        findings_count: the number of all findings.
        types: the types of the findings, each once.
        redacted_types: the types of data that were replaced before the text was stored.
        client_id: the client of the submission; None if it was anonymous.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, db_default=RandomUUID())
    # No foreign key: this application does not know what its subjects are.
    subject_id = models.UUIDField(null=True)
    occasion = models.TextField(
        choices=Occasion, default=Occasion.SUBMISSION, db_default=Occasion.SUBMISSION.value
    )
    verdict = models.TextField(choices=ReceiptVerdict)
    reason = models.TextField(default="", db_default="")
    findings = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    findings_count = models.IntegerField(default=0, db_default=0)
    types = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    redacted_types = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    policy_version = models.TextField(default="", db_default="")
    reflex_request_id = models.TextField(default="", db_default="")
    cache_hit = models.BooleanField(default=False, db_default=False)
    duration_seconds = models.FloatField(default=0, db_default=0)
    client_address = models.TextField(default="", db_default="")
    # No foreign key: this application does not know clients.
    client_id = models.UUIDField(null=True)
    request_id = models.TextField(default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())

    objects = ReceiptQuerySet.as_manager()

    class Meta:
        db_table = "receipts"
        ordering = ("-created_at",)
        default_permissions = ("view",)
        permissions = (("dry_run", "Can try texts against the Reflex Layer"),)
        indexes = (
            # The console lists the newest first, and by day; its dashboard counts the verdicts
            # of a week's submissions by reading the index alone.
            models.Index(
                fields=["created_at"],
                include=["verdict", "occasion"],
                name="idx_receipts_created_at",
            ),
            # The console filters by verdict.
            models.Index(fields=["verdict", "created_at"], name="idx_receipts_verdict"),
            # The console searches receipts and tasks by request id.
            models.Index(fields=["request_id", "created_at"], name="idx_receipts_request_id"),
            # The dashboard counts the types of a week in the few submissions with findings.
            models.Index(
                fields=["created_at"],
                include=["types", "occasion"],
                condition=~Q(types=[]),
                name="idx_receipts_found",
            ),
            # The console lists the answers, which may be few among many submissions.
            models.Index(
                fields=["created_at"],
                condition=Q(occasion=Occasion.ANSWER),
                name="idx_receipts_answers",
            ),
            # The console lists the answers of one task.
            models.Index(
                fields=["subject_id", "created_at"],
                condition=Q(occasion=Occasion.ANSWER),
                name="idx_receipts_answers_of",
            ),
            # The console filters by client, and counts the refusals of each.
            models.Index(
                fields=["client_id", "created_at"],
                include=["verdict"],
                name="idx_receipts_client",
            ),
            # The console filters by type of finding.
            GinIndex(fields=["types"], name="idx_receipts_types", opclasses=["jsonb_path_ops"]),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(verdict__in=ReceiptVerdict.values), name="receipts_verdict_known"
            ),
            models.CheckConstraint(
                # `reason` is required without a verdict, and allowed for a blocked text.
                condition=Q(verdict=ReceiptVerdict.NONE, reason__gt="")
                | Q(verdict=ReceiptVerdict.BLOCKED)
                | Q(~Q(verdict=ReceiptVerdict.NONE), reason=""),
                name="receipts_reason_known",
            ),
            models.CheckConstraint(
                condition=Q(occasion__in=Occasion.values), name="receipts_occasion_known"
            ),
            models.CheckConstraint(
                # A submission has a subject exactly if it was accepted, an answer always.
                condition=Q(occasion=Occasion.ANSWER, subject_id__isnull=False)
                | Q(
                    occasion=Occasion.SUBMISSION,
                    verdict__in=WITHOUT_SUBJECT,
                    subject_id__isnull=True,
                )
                | Q(
                    ~Q(verdict__in=WITHOUT_SUBJECT),
                    occasion=Occasion.SUBMISSION,
                    subject_id__isnull=False,
                ),
                name="receipts_subject_known",
            ),
            # The page of a task finds its receipt by the index of this constraint.
            models.UniqueConstraint(
                fields=["subject_id"],
                condition=Q(occasion=Occasion.SUBMISSION, subject_id__isnull=False),
                name="receipts_one_submission_each",
            ),
        )

    def __str__(self) -> str:
        return str(self.pk)
