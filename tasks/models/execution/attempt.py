"""The tables `attempts` and `calls`: a worker's claim on a step, and its requests to arms."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from tasks.execution.outcomes import AttemptOutcome, CallOutcome
from tasks.models.execution.run import USD_DECIMALS, USD_DIGITS


class Attempt(models.Model):
    """The claim of a worker on a step, until it ends or another worker takes over.

    Attributes:
        number: 1 for the first attempt at a step.
        lease_until: until when nobody else may take over.
    """

    id = models.BigAutoField(primary_key=True)
    step = models.ForeignKey(
        "tasks.Step", on_delete=models.PROTECT, related_name="attempts", db_index=False
    )
    number = models.IntegerField()
    # Workers have their row before they claim. Checking the key would lock it at each claim.
    worker = models.ForeignKey(
        "tasks.Worker",
        on_delete=models.PROTECT,
        related_name="attempts",
        db_index=False,
        db_constraint=False,
    )
    started_at = models.DateTimeField(db_default=Now())
    # Without an index, so that a renewal writes only the row.
    lease_until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    outcome = models.TextField(choices=AttemptOutcome, null=True)  # noqa: DJ001 - null: it goes on

    class Meta:
        db_table = "attempts"
        default_permissions = ()
        ordering = ("id",)
        indexes = (
            # Renewing, taking over and the page of the workers read all that go on.
            models.Index(
                fields=["worker"], condition=Q(ended_at__isnull=True), name="idx_attempts_open"
            ),
        )
        constraints = (
            models.UniqueConstraint(fields=["step", "number"], name="attempts_number_once"),
            models.UniqueConstraint(
                fields=["step"], condition=Q(ended_at__isnull=True), name="attempts_one_live"
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, outcome__isnull=True)
                | Q(
                    ended_at__isnull=False,
                    outcome__isnull=False,
                    outcome__in=AttemptOutcome.values,
                ),
                name="attempts_ended_with_an_outcome",
            ),
        )

    def __str__(self) -> str:
        return f"attempt {self.number}"


class Call(models.Model):
    """One HTTP request to an arm; its row is committed before it is sent.

    Attributes:
        number: 1 for the first call of a step.
        client_id: the client of the task.
        request_digest: the SHA-256 of the bytes that were sent.
        reserved_tokens, reserved_usd: what the budgets keep for it while it goes on.
        tokens, cost_usd: what it used; None while it goes on.
        is_estimated: whether that is its reservation, since the arm did not report it.
        day: the day whose budget has its reservation too; None if days have no limit.
        detail: a few constant words if it did not succeed.
    """

    id = models.BigAutoField(primary_key=True)
    attempt = models.ForeignKey(Attempt, on_delete=models.PROTECT, related_name="calls")
    step = models.ForeignKey(
        "tasks.Step",
        on_delete=models.PROTECT,
        related_name="calls",
        db_index=False,
        # Its attempt has the same step.
        db_constraint=False,
    )
    number = models.IntegerField()
    arm = models.ForeignKey(
        "tasks.Arm",
        on_delete=models.PROTECT,
        db_column="arm",
        related_name="calls",
        db_index=False,
        # Arms are never deleted. Checking the key would lock the row of the arm at each claim.
        db_constraint=False,
    )
    client_id = models.UUIDField(null=True)
    request_digest = models.BinaryField()
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    outcome = models.TextField(choices=CallOutcome, null=True)  # noqa: DJ001 - null: it goes on
    reserved_tokens = models.BigIntegerField()
    reserved_usd = models.DecimalField(max_digits=USD_DIGITS, decimal_places=USD_DECIMALS)
    tokens = models.BigIntegerField(null=True)
    cost_usd = models.DecimalField(max_digits=USD_DIGITS, decimal_places=USD_DECIMALS, null=True)
    is_estimated = models.BooleanField(default=False, db_default=False)
    day = models.DateField(null=True)
    detail = models.TextField(default="", db_default="")

    class Meta:
        db_table = "calls"
        default_permissions = ()
        ordering = ("id",)
        indexes = (
            # A claim counts the calls that an arm works on, and those of one client.
            models.Index(
                fields=["arm", "client_id"],
                condition=Q(ended_at__isnull=True),
                name="idx_calls_open",
            ),
            # The console adds up the calls of an arm in the last hour and today.
            models.Index(
                fields=["arm", "started_at"],
                include=["outcome", "cost_usd"],
                name="idx_calls_arm",
            ),
        )
        constraints = (
            models.UniqueConstraint(fields=["step", "number"], name="calls_number_once"),
            models.CheckConstraint(
                condition=Q(
                    ended_at__isnull=True,
                    outcome__isnull=True,
                    tokens__isnull=True,
                    cost_usd__isnull=True,
                )
                | Q(
                    ended_at__isnull=False,
                    outcome__isnull=False,
                    tokens__isnull=False,
                    cost_usd__isnull=False,
                    ended_at__gte=F("started_at"),
                    outcome__in=CallOutcome.values,
                    tokens__gte=0,
                    cost_usd__gte=0,
                ),
                name="calls_ended_with_an_outcome",
            ),
            models.CheckConstraint(
                condition=Q(reserved_tokens__gte=0, reserved_usd__gte=0),
                name="calls_reserve_nothing_negative",
            ),
        )

    def __str__(self) -> str:
        return f"call {self.number}"
