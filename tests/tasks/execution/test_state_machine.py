"""Everything that workers, clients and staff may do, in any order; the rules hold after each step.

Nothing here is a fake but time, which the clock of the database is moved by, and the arms, whose
answers are made up: the worker's own code claims, renews and writes, in a real PostgreSQL.
"""

import contextlib
import os
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
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
from tasks.execution.bells import BEGIN
from tasks.execution.claiming.claims import Claimed
from tasks.execution.concluding import Conclusion, EndedCall, conclude, end_call
from tasks.execution.failures import FailureCode
from tasks.execution.following import conclusion_after, done, failed
from tasks.execution.outcomes import CallOutcome
from tasks.execution.worker.leases import Holding
from tasks.models import Arm, Budget, Call, Client, Task
from tasks.models.execution.arm import Pause
from tasks.states import Priority, StepState, TaskVerdict
from tests.factories import ClientFactory, TaskFactory
from tests.tasks.execution import rules_that_hold
from tests.tasks.execution.bells import ringing
from tests.tasks.execution.clock import advance
from tests.tasks.execution.conftest import Hand
from tests.tasks.execution.test_endings import everything

pytestmark = pytest.mark.django_db

IS_IN_CI: Final = bool(os.environ.get("CI"))
EXAMPLES: Final = 40
STEPS: Final = 50
# Longer than the reconciler leaves new tasks alone.
SETTLED_SECONDS: Final = 11
USAGE: Final = Usage(tokens=40, cost_usd=Decimal("0.1"))
TOO_MUCH: Final = Usage(tokens=1_000_000, cost_usd=Decimal(500))
ANSWERS: Final = ("done", "done unreported", "done too dear", "refused output")
ERRORS: Final[dict[str, ArmError]] = {
    "retryable": Failed("busy", is_retryable=True, usage=USAGE),
    "failed": Failed("wrong", usage=USAGE),
    "later": Refused("later", is_retryable=True, retry_after_seconds=30),
    "refused": Refused("never"),
    "not sent": NotSent("no connection"),
    "unknown": OutcomeUnknown("closed"),
    "misconfigured": Misconfigured("answered 401"),
    "parameter": ParameterRefused("temperature"),
}
ARMS: Final = ("safe", "unsafe", "model")


class Execution(RuleBasedStateMachine):
    """Two workers, three arms and some clients.

    Attributes:
        held: the attempts that workers work on, and those that they were lost with: they may write
            at any time.
        ended: the tasks that were seen in a final status.
    """

    steps = claims = 0

    def __init__(self) -> None:
        super().__init__()
        self._undo = contextlib.ExitStack()
        self._undo.enter_context(transaction.atomic())
        self.hands = [Hand(max_cost_usd_per_day=Decimal(5)), Hand()]
        self.held: list[tuple[Hand, Claimed, Holding]] = []
        self.clients: list[Client | None] = [None]
        self.ended: dict[UUID, str] = {}
        self.has_lost_bells = False

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self._undo.close()

    @initialize()
    def register(self) -> None:
        self.clients += ClientFactory.create_batch(2)
        fields: dict[str, Any] = {"protocol": "octollm", "url": "http://127.0.0.1:1", "room": 2}
        for name, is_idempotent in (("safe", True), ("unsafe", False)):
            values = {**fields, "capabilities": ["execute"], "is_idempotent": is_idempotent}
            Arm.objects.create(name=name, **values)
        Arm.objects.create(
            name="model", **{**fields, "protocol": "openai", "url": "http://127.0.0.1:1/v1"},
            capabilities=["execute"], is_idempotent=True, model="m", usd_per_million_output=10,
        )  # fmt: skip

        # Every example begins with work that is under way, at each of the arms.
        for number, name in enumerate((*ARMS, None)):
            self.submit(number % 3, Priority.MEDIUM, 10_000, name, number % 2)

    # Clients and staff

    @rule(
        client=st.integers(0, 2),
        priority=st.sampled_from(Priority),
        # Most tasks can be carried out.
        max_tokens=st.sampled_from([10_000] * 8 + [100, 0]),
        arm=st.sampled_from([None, None, *ARMS]),
        worker=st.sampled_from([0, 1, None]),
    )
    def submit(
        self, client: int, priority: Priority, max_tokens: int, arm: str | None, worker: int | None
    ) -> None:
        """Submit a task; a worker may answer its bell at once."""
        task = TaskFactory(
            client=self.clients[client], priority=priority, max_tokens=max_tokens, assigned_arm=arm
        )
        rules_that_hold.ring(task)
        if worker is not None:
            self._claim(self.hands[worker], BEGIN, str(task.pk))

    @rule(data=st.data())
    @precondition(lambda self: Task.objects.exists())
    def cancel(self, data: st.DataObject) -> None:
        Task.objects.cancel([self._task(data).pk])

    @rule(data=st.data())
    @precondition(lambda self: Task.objects.filter(status="failed").exists())
    def requeue(self, data: st.DataObject) -> None:
        task = self._task(data, status="failed")
        assert Task.objects.requeue([task.pk], actor="ann", reason="Again") == {task.pk}
        del self.ended[task.pk]

    @rule(data=st.data(), priority=st.sampled_from(Priority))
    @precondition(lambda self: Task.objects.exists())
    def change_priority(self, data: st.DataObject, priority: Priority) -> None:
        Task.objects.change_priority([self._task(data).pk], priority)

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
        bells = ringing()
        self._claim(self.hands[number], *bells[min(position, len(bells) - 1)])

    @rule(number=st.integers(0, 1))
    def answer_all_bells(self, number: int) -> None:
        for name, lock in ringing():
            self._claim(self.hands[number], name, lock)

    @rule(data=st.data(), answer=st.sampled_from(ANSWERS))
    @precondition(lambda self: self.held)
    def finish(self, data: st.DataObject, answer: str) -> None:
        _hand, claimed, _holding = self._take_held(data)
        usage = {"done unreported": Usage(), "done too dear": TOO_MUCH}.get(answer, USAGE)
        call = EndedCall(claimed.call_id, CallOutcome.SUCCEEDED, usage.tokens, usage.cost_usd)
        if answer == "refused output":
            self._write(failed(claimed, call, FailureCode.OUTPUT_REFUSED))
        else:
            self._write(done(claimed, call, {"answer": 1}, 0.5, TaskVerdict.SAFE))

    @rule(data=st.data(), name=st.sampled_from([*ERRORS]))
    @precondition(lambda self: self.held)
    def fail(self, data: st.DataObject, name: str) -> None:
        _hand, claimed, _holding = self._take_held(data)
        error = ERRORS[name]
        if isinstance(error, Misconfigured):
            Arm.objects.filter(name=claimed.arm.name).update(health="misconfigured")
        self._write(conclusion_after(error, claimed, claimed.run_seconds_left))

    @rule(data=st.data())
    @precondition(lambda self: self.held)
    def end_the_call_and_wait_for_the_screening(self, data: st.DataObject) -> None:
        _hand, claimed, _holding = data.draw(st.sampled_from(self.held))
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
        name, lock = ringing()[0]
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM procrastinate_jobs WHERE task_name = %s AND queueing_lock = %s",
                [name, lock],
            )
        self.has_lost_bells = True

    @rule(number=st.integers(0, 1))
    def keep_house(self, number: int) -> None:
        self.hands[number].housekeeping.tick()

    @rule(number=st.integers(0, 1), seconds=st.sampled_from([0, 5, 40]))
    def work(self, number: int, seconds: int) -> None:
        """Wake what is due, ring what is parked, and claim all of it."""
        advance(seconds)
        self.hands[number].housekeeping.tick()
        self.answer_all_bells(number)

    @rule(number=st.integers(0, 1))
    def reconcile(self, number: int) -> None:
        advance(SETTLED_SECONDS)
        while self.hands[number].reconcile():
            pass
        self.has_lost_bells = False

    @rule(seconds=st.sampled_from([1, 5, 25, 300]))
    def let_time_pass(self, seconds: int) -> None:
        advance(seconds)

    # The rules

    @invariant()
    def count_steps(self) -> None:
        Execution.steps += 1

    @invariant()
    def hold(self) -> None:
        rules_that_hold.attempts()
        rules_that_hold.budgets()
        rules_that_hold.runs()
        rules_that_hold.counters()
        rules_that_hold.calls()
        if not self.has_lost_bells:
            rules_that_hold.nothing_is_lost()

    @invariant()
    def final_states_are_final(self) -> None:
        now = dict(Task.objects.values_list("pk", "status"))
        for task_id, status in self.ended.items():
            assert now[task_id] == status
        finals = {"completed", "failed", "cancelled"}
        self.ended = {pk: status for pk, status in now.items() if status in finals}

    def _task(self, data: st.DataObject, **fields: str) -> Task:
        tasks: list[Task] = [*Task.objects.filter(**fields).order_by("created_at", "goal")]
        return tasks[data.draw(st.integers(0, len(tasks) - 1))]

    def _claim(self, hand: Hand, name: str, lock: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM procrastinate_jobs WHERE task_name = %s AND queueing_lock = %s",
                [name, lock],
            )
        claim = hand.claims.claim_task if name == BEGIN else hand.claims.claim_step
        claimed = claim(UUID(lock))
        if claimed is None:
            return
        Execution.claims += 1
        self.held.append((hand, claimed, Holding(claimed.attempt_id)))
        budget = Budget.objects.get(run__steps=claimed.step_id)
        assert budget.spent_tokens + budget.reserved_tokens <= budget.max_tokens
        assert budget.spent_usd + budget.reserved_usd <= budget.max_cost_usd
        open_calls = Call.objects.filter(arm=claimed.arm.name, ended_at=None)
        assert open_calls.count() <= claimed.arm.room

    def _take_held(self, data: st.DataObject) -> tuple[Hand, Claimed, Holding]:
        return self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))

    def _write(self, conclusion: Conclusion) -> None:
        """Write, whether or not the attempt still lives; a late write changes nothing."""
        assert conclusion.attempt_id is not None
        is_live = rules_that_hold.is_live(conclusion.attempt_id)
        before = everything()
        is_written = conclude(conclusion) is not None
        assert is_written == is_live
        if not is_live:
            assert everything() == before


@pytest.fixture
def steps_counted(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    Execution.steps = Execution.claims = 0
    yield
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{Execution.steps} steps of the state machine, {Execution.claims} claims", flush=True
        )


@pytest.mark.usefixtures("reflex_layer", "old_server", "steps_counted")
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
    assert Execution.claims > 3 * EXAMPLES
