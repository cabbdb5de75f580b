"""The tables `runs` and `budgets`: the work on a task from a submission or a requeue to its end."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from tasks.execution.failures import FailureCode

USD_DIGITS = 16
USD_DECIMALS = 8


class Run(models.Model):
    """One run of a task. Its rows are made when a worker first looks at the task.

    Attributes:
        number: 1 for the first run of a task.
        pinned_arm: the only arm that may carry it out; None for any.
        started_at: when its first step was claimed.
        ends_at: when its time is over. Parked time does not count, so it moves when that ends.
        parked_at: since when all its open steps are parked; None if one is not.
        verdicts: the newest verdict on each criterion of the task, in their order, as
            `tasks.execution.runs.criteria` writes them; None before the first check.
        failure_code: why it failed; None if it did not.
        failure_detail: a sentence without anybody's text.
    """

    id = models.BigAutoField(primary_key=True)
    task = models.ForeignKey(
        "tasks.Task", on_delete=models.PROTECT, related_name="runs", db_index=False
    )
    number = models.IntegerField()
    pinned_arm = models.TextField(null=True)  # noqa: DJ001 - null as in `tasks.assigned_arm`
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    parked_at = models.DateTimeField(null=True)
    verdicts = models.JSONField(null=True)
    ended_at = models.DateTimeField(null=True)
    failure_code = models.TextField(  # noqa: DJ001 - null where nothing failed
        choices=FailureCode, null=True
    )
    failure_detail = models.TextField(default="", db_default="")

    class Meta:
        db_table = "runs"
        default_permissions = ()
        ordering = ("number",)
        indexes = (
            # The reconciler looks for runs whose time is over.
            models.Index(
                fields=["ends_at"], condition=Q(ended_at__isnull=True), name="idx_runs_ends_at"
            ),
            # The dashboard counts failures by code.
            models.Index(
                fields=["ended_at"],
                include=["failure_code"],
                condition=Q(failure_code__isnull=False),
                name="idx_runs_failed",
            ),
        )
        constraints = (
            # Reading a task finds its newest run by the index of this constraint.
            models.UniqueConstraint(fields=["task", "number"], name="runs_number_once"),
            models.UniqueConstraint(
                fields=["task"], condition=Q(ended_at__isnull=True), name="runs_one_open"
            ),
            models.CheckConstraint(condition=Q(number__gte=1), name="runs_number_positive"),
            models.CheckConstraint(
                condition=Q(failure_code__isnull=True)
                | Q(failure_code__in=FailureCode.values, ended_at__isnull=False),
                name="runs_failure_known",
            ),
            models.CheckConstraint(
                condition=Q(started_at__isnull=True, ends_at__isnull=True)
                | Q(started_at__isnull=False, ends_at__isnull=False),
                name="runs_time_known",
            ),
        )

    def __str__(self) -> str:
        return f"run {self.number}"


class Budget(models.Model):
    """What may be spent, and what has been: for a run, or for all calls of a day.

    Attributes:
        day: the day in UTC.
        max_tokens, max_cost_usd: the limits; None for a day, whose limit is a setting.
        reserved_tokens, reserved_usd: the sums of what open calls may still use.
        spent_tokens, spent_usd: the sums of what calls that ended have used.
        spent_seconds: how long these calls took.
        is_estimated: whether a call that ended did not report its usage, and its reservation stands
            for it.
    """

    id = models.BigAutoField(primary_key=True)
    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="budget", null=True)
    day = models.DateField(null=True, unique=True)
    max_tokens = models.BigIntegerField(null=True)
    max_cost_usd = models.DecimalField(
        max_digits=USD_DIGITS, decimal_places=USD_DECIMALS, null=True
    )
    reserved_tokens = models.BigIntegerField(default=0, db_default=0)
    reserved_usd = models.DecimalField(
        max_digits=USD_DIGITS, decimal_places=USD_DECIMALS, default=0, db_default=0
    )
    spent_tokens = models.BigIntegerField(default=0, db_default=0)
    spent_usd = models.DecimalField(
        max_digits=USD_DIGITS, decimal_places=USD_DECIMALS, default=0, db_default=0
    )
    spent_seconds = models.FloatField(default=0, db_default=0)
    is_estimated = models.BooleanField(default=False, db_default=False)

    class Meta:
        db_table = "budgets"
        default_permissions = ()
        constraints = (
            models.CheckConstraint(
                condition=Q(
                    run__isnull=False,
                    day__isnull=True,
                    max_tokens__isnull=False,
                    max_cost_usd__isnull=False,
                )
                | Q(
                    run__isnull=True,
                    day__isnull=False,
                    max_tokens__isnull=True,
                    max_cost_usd__isnull=True,
                ),
                name="budgets_of_a_run_or_a_day",
            ),
            models.CheckConstraint(
                condition=Q(
                    reserved_tokens__gte=0,
                    reserved_usd__gte=0,
                    spent_tokens__gte=0,
                    spent_usd__gte=0,
                    spent_seconds__gte=0,
                ),
                name="budgets_not_negative",
            ),
        )

    def __str__(self) -> str:
        return f"budget of {self.run or self.day}"
