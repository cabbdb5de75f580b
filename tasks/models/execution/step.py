"""The table `steps`: one node of the plan of a run, and what else arms or staff do for it."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now

from tasks.arms.description import Capability
from tasks.execution.failures import FailureCode
from tasks.states import (
    FINAL_STATES,
    OPEN_STATES,
    StepRole,
    StepState,
    TaskVerdict,
    WaitsFor,
)


class Step(models.Model):
    """What one arm, or staff, have to do in a run.

    What defines it never changes; a trigger refuses it.

    Attributes:
        id: its key: a UUID made of task, run, revision and step, which arms get with each call.
        client_id: the client of its task.
        revision: of the plan.
        number: 1 for the first step that carries out something, and unique in a run; 0 for the
            making of a plan, whose revision it begins.
        action: what a step of a plan does; empty for the task as a whole.
        acceptance_criteria: those of a step of a plan, or those that a check has to judge.
        pinned_arm: the only arm that the plan allows; None for any.
        depends_on: the numbers of the steps that must be done before, whose answers it is given.
        estimated_seconds: how long the plan says that it takes.
        faults: what it has to do better than the last plan or result.
        answer: what came back, if the run goes on with it; None before the end.
        confidence: of the answer, 0 to 1.
        verdict: of the screening of the answer.
        failure_code: why it failed; None if it did not.
        rank: its place in line; the highest goes first.
        arm: the arm that its request was made for.
        request: the bytes that every call sends; None before the first call and after the end.
        tries: how many calls it had.
        leases_lost: how many workers lost it.
        wake_at: until when it waits; None if it does not wait for a time.
        waits_for: what it is parked for; None if it is not parked.
        waits_at: the only arm at which it may get a place; empty for any.
        parked_at: since when it is parked.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    run = models.ForeignKey(
        "tasks.Run", on_delete=models.PROTECT, related_name="steps", db_index=False
    )
    task = models.ForeignKey(
        "tasks.Task",
        on_delete=models.PROTECT,
        related_name="steps",
        db_index=False,
        # Its run has the same task.
        db_constraint=False,
    )
    client_id = models.UUIDField(null=True)
    role = models.TextField(
        choices=StepRole, default=StepRole.EXECUTE, db_default=StepRole.EXECUTE.value
    )
    revision = models.IntegerField(default=1, db_default=1)
    number = models.IntegerField(default=1, db_default=1)
    action = models.TextField(default="", db_default="")
    acceptance_criteria = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    pinned_arm = models.TextField(null=True)  # noqa: DJ001 - null as in `tasks.assigned_arm`
    capability = models.TextField(choices=[(one.value, one.value) for one in Capability])
    depends_on = ArrayField(models.IntegerField(), default=list, db_default=[])
    estimated_seconds = models.FloatField(default=0, db_default=0)
    faults = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    state = models.TextField(
        choices=StepState, default=StepState.READY, db_default=StepState.READY.value
    )
    rank = models.IntegerField()
    # Arms are never deleted. Checking the key would lock the row of the arm at each claim.
    arm = models.ForeignKey(
        "tasks.Arm",
        on_delete=models.PROTECT,
        db_column="arm",
        null=True,
        db_index=False,
        db_constraint=False,
    )
    request = models.BinaryField(null=True)
    answer = models.JSONField(null=True)
    confidence = models.FloatField(null=True)
    verdict = models.TextField(choices=TaskVerdict, null=True)  # noqa: DJ001 - null: no answer yet
    failure_code = models.TextField(  # noqa: DJ001 - null where nothing failed
        choices=FailureCode, null=True
    )
    tries = models.IntegerField(default=0, db_default=0)
    leases_lost = models.IntegerField(default=0, db_default=0)
    wake_at = models.DateTimeField(null=True)
    waits_for = models.TextField(choices=WaitsFor, null=True)  # noqa: DJ001 - null: it does not
    waits_at = models.TextField(default="", db_default="")
    parked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "steps"
        default_permissions = ()
        ordering = ("revision", "number")
        indexes = (
            # A cancel, a change of priority and the progress of a task find its steps.
            models.Index(fields=["task"], name="idx_steps_task"),
            # Workers wake steps whose time has come.
            models.Index(
                fields=["wake_at"], condition=Q(wake_at__isnull=False), name="idx_steps_wake_at"
            ),
            # Workers tell parked steps that there is room, the highest rank first.
            models.Index(
                fields=["waits_for", "capability", "waits_at", "-rank"],
                condition=Q(waits_for__isnull=False),
                name="idx_steps_parked",
            ),
            # Other clients are rung where one has its share of an arm, the highest rank first.
            models.Index(
                fields=["waits_for", "client_id", "-rank"],
                condition=Q(waits_for__isnull=False),
                name="idx_steps_parked_client",
            ),
            # The reconciler looks for steps that should have a job, in the order of their ids.
            models.Index(
                fields=["id"],
                condition=Q(state="ready", wake_at__isnull=True, waits_for__isnull=True),
                name="idx_steps_ready",
            ),
            # It looks for steps that are running and have no attempt, too.
            models.Index(fields=["id"], condition=Q(state="running"), name="idx_steps_running"),
        )
        constraints = (
            models.UniqueConstraint(fields=["run", "revision", "number"], name="steps_number_once"),
            models.CheckConstraint(
                condition=Q(state__in=StepState.values), name="steps_state_known"
            ),
            models.CheckConstraint(condition=Q(role__in=StepRole.values), name="steps_role_known"),
            # Nobody calls an arm for a decision.
            models.CheckConstraint(
                condition=Q(waits_for__isnull=True)
                | Q(waits_for=WaitsFor.DECISION, role=StepRole.DECIDE)
                | (~Q(waits_for=WaitsFor.DECISION) & ~Q(role=StepRole.DECIDE)),
                name="steps_decisions_wait_for_staff",
            ),
            models.CheckConstraint(
                condition=Q(answer__isnull=True) | Q(state=StepState.DONE),
                name="steps_done_with_an_answer",
            ),
            models.CheckConstraint(
                condition=Q(failure_code__isnull=True)
                | Q(failure_code__in=FailureCode.values, state=StepState.FAILED),
                name="steps_failure_known",
            ),
            models.CheckConstraint(
                condition=Q(confidence__isnull=True) | Q(confidence__range=(0, 1)),
                name="steps_confidence_in_range",
            ),
            models.CheckConstraint(
                condition=Q(waits_for__isnull=True, parked_at__isnull=True)
                | Q(
                    waits_for__isnull=False,
                    waits_for__in=WaitsFor.values,
                    parked_at__isnull=False,
                    wake_at__isnull=True,
                    state=StepState.READY,
                ),
                name="steps_parked_for_something",
            ),
            models.CheckConstraint(
                condition=Q(wake_at__isnull=True) | Q(state=StepState.READY),
                name="steps_only_ready_ones_wait",
            ),
            models.CheckConstraint(
                condition=Q(
                    state__in=OPEN_STATES,
                    ended_at__isnull=True,
                )
                | Q(
                    state__in=FINAL_STATES,
                    ended_at__isnull=False,
                    request__isnull=True,
                ),
                name="steps_ended_when_final",
            ),
            models.CheckConstraint(
                condition=Q(
                    tries__gte=0,
                    leases_lost__gte=0,
                    number__gte=0,
                    revision__gte=1,
                    estimated_seconds__gte=0,
                ),
                name="steps_numbers_not_negative",
            ),
        )

    def __str__(self) -> str:
        return f"step {self.number}"
