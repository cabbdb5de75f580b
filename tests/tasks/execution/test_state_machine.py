"""Everything that workers, clients and staff may do, in any order; the rules hold after each step.

Nothing here is a fake but time, which the clock of the database is moved by, and the arms, whose
answers are made up: the worker's own code claims, renews and writes, in a real PostgreSQL. At the
end of each example, arms and workers do what they should, and every task has to end.
"""

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tasks.arms.exceptions import (
    ArmError,
    Failed,
    Misconfigured,
    NotSent,
    OutcomeUnknown,
    ParameterRefused,
    Refused,
)
from tasks.arms.work import Usage
from tasks.execution import following
from tasks.execution.bells import BEGIN
from tasks.execution.claiming.claims import Claimed
from tasks.execution.concluding import Conclusion, EndedCall, end_call
from tasks.execution.failures import FailureCode
from tasks.execution.following import conclusion_after, failed
from tasks.execution.outcomes import CallOutcome
from tasks.execution.runs import decisions
from tasks.execution.worker.leases import Holding
from tasks.models import Arm, Step, Task
from tasks.models.execution.arm import Pause
from tasks.states import Priority, StepState
from tests.factories import TaskFactory
from tests.tasks.execution import rules_that_hold
from tests.tasks.execution.bells import ringing
from tests.tasks.execution.clock import advance
from tests.tasks.execution.conftest import Hand
from tests.tasks.execution.made_up import BY_JUDGE, BY_RULE, answer_to
from tests.tasks.execution.test_endings import everything
from tests.tasks.execution.world import (
    ARMS,
    BACKOFF_SECONDS,
    DECISION_SECONDS,
    DECISIONS,
    EXECUTING,
    OPTIONS,
    RETRY_AFTER_SECONDS,
    SETTLED_SECONDS,
    USAGE,
    WEEK,
    World,
    bells,
    fetch,
)

pytestmark = pytest.mark.django_db

IS_IN_CI: Final = bool(os.environ.get("CI"))
EXAMPLES: Final = 40
STEPS: Final = 40
TOO_MUCH: Final = Usage(tokens=1_000_000, cost_usd=Decimal(500))
ANSWERS: Final = (*["done"] * 5, "done unreported", "done too dear", "refused output")
ERRORS: Final[dict[str, ArmError]] = {
    "retryable": Failed("busy", is_retryable=True, usage=USAGE),
    "failed": Failed("wrong", usage=USAGE),
    "later": Refused("later", is_retryable=True, retry_after_seconds=RETRY_AFTER_SECONDS),
    "refused": Refused("never"),
    "not sent": NotSent("no connection"),
    "unknown": OutcomeUnknown("closed"),
    "misconfigured": Misconfigured("answered 401"),
    "parameter": ParameterRefused("temperature"),
}
CRITERIA: Final = ([], [BY_RULE], [BY_JUDGE], [BY_JUDGE], [BY_RULE, BY_JUDGE])
# How often at least it has to happen, so that the rules are checked on it.
AT_LEAST: Final = {
    "claim": 10 * EXAMPLES,
    "plan": 2 * EXAMPLES,
    "plan asked again": 8,
    "second plan": 3,
    "step of a plan": 3 * EXAMPLES,
    "side by side": EXAMPLES // 2,
    "judge": EXAMPLES,
    "judge parked": 3,
    "repair": EXAMPLES // 4,
    "decide": 8,
    "accepted": 2,
    "rejected": 2,
    "expired": 2,
    "repair for staff": 1,
}


class Execution(World):
    """What workers, clients and staff do in that world."""

    @initialize(keeps_judges=st.booleans(), seed=st.integers(0, 1_000_000))
    def begin(self, *, keeps_judges: bool, seed: int) -> None:
        self.keeps_judges, self.chance = keeps_judges, Random(seed)
        self.register()
        # Every example begins with work that is under way, some of it at the last checks.
        for number, name in enumerate((*EXECUTING, None)):
            priority = Priority.MEDIUM if number % 2 else Priority.HIGH
            self.submit(number % 3, priority, 100_000, name, CRITERIA[-1 - number], worker=1)
        for _ in range(self.chance.randint(1, 8)):
            self.go_on(1)

    # Clients and staff

    @rule(
        client=st.integers(0, 2),
        priority=st.sampled_from(Priority),
        # Most tasks can be carried out.
        max_tokens=st.sampled_from([100_000] * 8 + [100, 0]),
        arm=st.sampled_from([None, None, *EXECUTING]),
        criteria=st.sampled_from(CRITERIA),
        worker=st.sampled_from([0, 1, 1, None]),
    )
    def submit(
        self,
        client: int,
        priority: Priority,
        max_tokens: int,
        arm: str | None,
        criteria: list[str],
        worker: int | None,
    ) -> None:
        """Submit a task; a worker may answer its bell at once."""
        task = TaskFactory(
            # The same in each example, with the keys that are made of it.
            id=uuid.UUID(int=len(self.tasks) + 1),
            goal="Sort the reviews",
            client=self.clients[client],
            priority=priority,
            max_tokens=max_tokens,
            assigned_arm=arm,
            acceptance_criteria=criteria,
        )
        self.tasks.append(task.pk)
        rules_that_hold.ring(task)
        if worker is not None:
            self.claim(self.hands[worker], BEGIN, str(task.pk))

    @rule(data=st.data())
    @precondition(lambda self: self.tasks)
    def cancel(self, data: st.DataObject) -> None:
        Task.objects.cancel([self._drawn(data, self.tasks)])

    @rule(data=st.data())
    @precondition(lambda self: Task.objects.filter(status="failed").exists())
    def requeue(self, data: st.DataObject) -> None:
        failed_ones = Task.objects.filter(status="failed").order_by("pk")
        task_id = self._drawn(data, [*failed_ones.values_list("pk", flat=True)])
        assert Task.objects.requeue([task_id], actor="ann", reason="Again") == {task_id}
        del self.ended[task_id]

    @rule(data=st.data(), priority=st.sampled_from(Priority))
    @precondition(lambda self: self.tasks)
    def change_priority(self, data: st.DataObject, priority: Priority) -> None:
        Task.objects.change_priority([self._drawn(data, self.tasks)], priority)

    @rule(data=st.data(), how=st.sampled_from(DECISIONS))
    @precondition(lambda self: Step.objects.filter(role="decide").exists())
    def decide(self, data: st.DataObject, how: str) -> None:
        steps = Step.objects.filter(role="decide").order_by("state", "task_id", "number")
        self.decide_about(self._drawn(data, [*steps]), how)

    @rule()
    @precondition(lambda self: Step.objects.filter(waits_for="decision").exists())
    def decide_nothing_in_time(self) -> None:
        advance(DECISION_SECONDS + 1)
        assert decisions.expire(OPTIONS[1]) > 0

    @rule(name=st.sampled_from(ARMS), enables=st.sampled_from([True, True, True, False]))
    def switch_arm(self, name: str, *, enables: bool) -> None:
        arm = Arm.objects.get(name=name)
        (arm.enable if enables else arm.disable)()

    @rule(pauses=st.sampled_from([False, False, False, True]))
    def pause(self, *, pauses: bool) -> None:
        if pauses:
            Pause.objects.begin(actor="ann", reason="Stop")
        else:
            Pause.objects.end(actor="ann")

    # Workers

    @rule(number=st.integers(0, 1), position=st.integers(0, 3))
    @precondition(lambda self: ringing())
    def answer_a_bell(self, number: int, position: int) -> None:
        waiting = bells()
        self.claim(self.hands[number], *waiting[min(position, len(waiting) - 1)])

    @rule(number=st.integers(0, 1))
    def answer_all_bells(self, number: int) -> None:
        for name, lock in bells():
            self.claim(self.hands[number], name, lock)

    @rule(data=st.data(), how=st.sampled_from(ANSWERS))
    @precondition(lambda self: self.held)
    def finish(self, data: st.DataObject, how: str) -> None:
        hand, claimed, _holding = self._take_held(data)
        usage = {"done unreported": Usage(), "done too dear": TOO_MUCH}.get(how, USAGE)
        call = EndedCall(claimed.call_id, CallOutcome.SUCCEEDED, usage.tokens, usage.cost_usd)
        if how == "refused output":
            self.write(hand, failed(claimed, call, FailureCode.OUTPUT_REFUSED))
        else:
            self.answer(hand, claimed, answer_to(claimed, self.chance), call)

    @rule(number=st.integers(0, 1))
    def go_on(self, number: int) -> None:
        """All arms answer, mostly well; a worker takes what follows, and staff decide a part."""
        self.answer_by_chance()
        self.answer_all_bells(number)
        running = Step.objects.filter(role="execute", state="running")
        counts = Counter(running.values_list("run", flat=True)).values()
        World.seen["side by side"] += sum(count > 1 for count in counts)

    @rule(data=st.data(), name=st.sampled_from([*ERRORS]))
    @precondition(lambda self: self.held)
    def fail(self, data: st.DataObject, name: str) -> None:
        hand, claimed, _holding = self._take_held(data)
        error = ERRORS[name]
        if isinstance(error, Misconfigured):
            Arm.objects.filter(name=claimed.arm.name).update(health="misconfigured")
        self.write(hand, conclusion_after(error, claimed, claimed.run_seconds_left))

    @rule(data=st.data())
    @precondition(lambda self: self.held)
    def end_the_call_and_wait_for_the_screening(self, data: st.DataObject) -> None:
        _hand, claimed, _holding = self._drawn(data, self.held)
        call = EndedCall(claimed.call_id, CallOutcome.SUCCEEDED, USAGE.tokens, USAGE.cost_usd)
        is_live = rules_that_hold.is_live(claimed.attempt_id)
        before = everything()
        conclusion = Conclusion(
            claimed.task_id, claimed.step_id, StepState.RUNNING, claimed.attempt_id, call=call
        )
        assert end_call(conclusion) == is_live
        if not is_live:
            assert everything() == before

    @rule(number=st.integers(0, 1))
    def renew(self, number: int) -> None:
        """Renew the leases of a worker; those that it does not renew belong to one that died."""
        hand = self.hands[number]
        held = [(claimed, holding) for owner, claimed, holding in self.held if owner is hand]
        hand.leases._held = {claimed.attempt_id: holding for claimed, holding in held}
        hand.leases.check(renews=True)
        for claimed, holding in held:
            assert holding.is_dead != rules_that_hold.is_live(claimed.attempt_id)

    @rule(number=st.integers(0, 1))
    def give_back(self, number: int) -> None:
        hand = self.hands[number]
        hand.leases._held = {
            claimed.attempt_id: holding for owner, claimed, holding in self.held if owner is hand
        }
        hand.leases.give_back()

    @rule()
    @precondition(lambda self: ringing())
    def die_with_a_bell(self) -> None:
        """A worker fetches a job, and dies before it claims anything."""
        fetch(*bells()[0])
        self.has_lost_bells = True

    @rule(number=st.integers(0, 1))
    def keep_house(self, number: int) -> None:
        self.hands[number].housekeeping.tick()

    @rule(number=st.integers(0, 1), weeks=st.sampled_from([0, 1, 6]))
    def work(self, number: int, weeks: int) -> None:
        """Wake what is due, ring what is parked, and claim all of it."""
        advance(weeks * WEEK)
        self.hands[number].housekeeping.tick()
        self.answer_all_bells(number)

    @rule(number=st.integers(0, 1))
    def reconcile(self, number: int) -> None:
        advance(SETTLED_SECONDS)
        while self.hands[number].reconcile():
            pass
        self.has_lost_bells = False

    @rule(weeks=st.sampled_from([1, 1, 4, 8]))
    def let_time_pass(self, weeks: int) -> None:
        advance(weeks * WEEK)

    # The rules

    @invariant()
    def hold(self) -> None:
        World.steps += 1
        rules_that_hold.all_rules()
        if not self.has_lost_bells:
            rules_that_hold.nothing_is_lost()

    @invariant()
    def final_states_are_final(self) -> None:
        now = dict(Task.objects.values_list("pk", "status"))
        for task_id, status in self.ended.items():
            assert now[task_id] == status
        finals = {"completed", "failed", "cancelled"}
        self.ended = {pk: status for pk, status in now.items() if status in finals}

    def _drawn(self, data: st.DataObject, choices: list[Any]) -> Any:
        return choices[data.draw(st.integers(0, len(choices) - 1))]

    def _take_held(self, data: st.DataObject) -> tuple[Hand, Claimed, Holding]:
        return self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))


@pytest.fixture
def counted(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    World.steps, World.seen = 0, Counter()
    yield
    with capsys.disabled():
        seen = ", ".join(f"{name} {World.seen[name]}" for name in AT_LEAST)
        print(f"\n{World.steps} steps of the state machine: {seen}", flush=True)  # noqa: T201


@pytest.fixture
def weeks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "BACKOFF_SECONDS", BACKOFF_SECONDS)
    monkeypatch.setattr(following, "JITTER", 0)


@pytest.mark.usefixtures("reflex_layer", "old_server", "weeks", "counted")
def test_the_rules_hold_whatever_happens() -> None:
    run_state_machine_as_test(
        Execution,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=IS_IN_CI,
            suppress_health_check=[*HealthCheck],
        ),
    )
    # Otherwise it would check nothing but the paths on which nothing happens.
    rare = {name for name, count in AT_LEAST.items() if World.seen[name] < count}
    assert not rare
