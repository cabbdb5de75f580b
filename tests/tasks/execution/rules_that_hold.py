"""What holds at any time, whatever workers, clients and staff have done; each rule is asserted."""

from django.db import connection
from django.db.models import Count, F, Q, Sum

from tasks.execution.ringing import ring_tasks
from tasks.models import Attempt, Budget, Call, Run, Step, Task
from tests.tasks.execution.counters import counters as counters_named

OPEN = Q(ended_at=None)
# A call with one of these had no effect, so the next one repeats nothing.
WITHOUT_EFFECT = ("not_sent", "refused", "misconfigured")


def ring(task: Task) -> None:
    """Ring a task, as its submission does."""
    ring_tasks([task.pk])


def is_live(attempt_id: int) -> bool:
    """Return whether what this attempt brings may be written."""
    return Attempt.objects.filter(
        pk=attempt_id, ended_at=None, step__task__status__in=["pending", "processing"]
    ).exists()


def attempts() -> None:
    """A step has at most one live attempt, its newest; only running steps have one."""
    several = Step.objects.annotate(
        live=Count("attempts", filter=Q(attempts__ended_at=None))
    ).filter(Q(live__gt=1) | Q(live=1) & ~Q(state="running"))
    assert not several.exists()
    overtaken = Attempt.objects.filter(OPEN, step__attempts__number__gt=F("number"))
    assert not overtaken.exists()
    assert not Call.objects.filter(OPEN).exclude(attempt__ended_at=None).exists()


def budgets() -> None:
    """What is reserved is the sum of the open calls, and what is spent that of the others."""
    for budget in Budget.objects.all():
        of_budget = Q(day=budget.day) if budget.day else Q(step__run=budget.run_id)
        calls = Call.objects.filter(of_budget)
        of_open = calls.filter(OPEN).aggregate(t=Sum("reserved_tokens"), u=Sum("reserved_usd"))
        of_ended = calls.exclude(OPEN).aggregate(t=Sum("tokens"), u=Sum("cost_usd"))
        assert (budget.reserved_tokens, budget.reserved_usd) == (
            of_open["t"] or 0,
            of_open["u"] or 0,
        )
        assert (budget.spent_tokens, budget.spent_usd) == (of_ended["t"] or 0, of_ended["u"] or 0)


def runs() -> None:
    """A run is open as long as its task is unfinished, and so is its step."""
    unfinished = Q(task__status__in=["pending", "processing"])
    assert not Run.objects.filter(OPEN).exclude(unfinished).exists()
    assert not Run.objects.filter(OPEN, task__status="failed").exists()
    assert not Step.objects.filter(run__ended_at=None, ended_at__isnull=False).exists()
    assert not Step.objects.filter(run__ended_at__isnull=False, ended_at=None).exists()
    assert not Task.objects.filter(status="processing").exclude(runs__ended_at=None).exists()
    failed = Run.objects.filter(failure_code__isnull=False)
    assert not failed.filter(steps__state__in=["done", "cancelled"]).exists()
    completed = Task.objects.filter(status="completed")
    assert not completed.exclude(results__isnull=False).exists()
    assert not completed.exclude(steps__state="done").exists()


def counters() -> None:
    """The counters say what the tables say."""
    ended_calls = Call.objects.exclude(OPEN)
    of_calls = ended_calls.values_list("arm", "outcome").annotate(Count("pk"))
    assert counters_named("arm_calls") == {
        (arm, outcome): count for arm, outcome, count in of_calls
    }
    of_attempts = Attempt.objects.exclude(OPEN).values_list("outcome").annotate(Count("pk"))
    assert counters_named("attempts") == {(outcome,): count for outcome, count in of_attempts}


def calls() -> None:
    """No step goes on after an unknown outcome, but at the same arm, which knows the key."""
    for first in Call.objects.exclude(OPEN).exclude(outcome__in=WITHOUT_EFFECT):
        if first.outcome != "unknown":
            continue
        later = Call.objects.filter(step=first.step_id, number__gt=first.number)
        arm = first.arm
        if not arm.is_idempotent:
            assert not later.exists()
        if arm.protocol == "octollm":
            assert not later.exclude(arm=arm).exists()
            assert not later.exclude(request_digest=first.request_digest).exists()
    assert not Step.objects.filter(tries__gt=4).exists()


_LOST = """
    SELECT tasks.id, status, state, waits_for, wake_at FROM tasks
    LEFT JOIN runs ON runs.task_id = tasks.id AND runs.ended_at IS NULL
    LEFT JOIN steps ON steps.run_id = runs.id
    WHERE status IN ('pending', 'processing') AND NOT (
        EXISTS (
            SELECT 1 FROM procrastinate_jobs
            WHERE queueing_lock IN (tasks.id::text, steps.id::text) AND status = 'todo'
        )
        OR coalesce(steps.state = 'running' AND EXISTS (
            SELECT 1 FROM attempts WHERE step_id = steps.id AND attempts.ended_at IS NULL
        ), false)
        OR coalesce(steps.wake_at IS NOT NULL OR steps.waits_for IS NOT NULL, false)
    )
"""


def nothing_is_lost() -> None:
    """An unfinished task has a bell, a worker, a time to wake, or a named reason to wait."""
    with connection.cursor() as cursor:
        cursor.execute(_LOST)
        assert cursor.fetchall() == []
