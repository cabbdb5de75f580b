"""The workers, arms and clients of the state machine, and what its rules have in common."""

import contextlib
import functools
import math
import sys
import uuid
from collections import Counter
from decimal import Decimal
from operator import itemgetter
from random import Random
from typing import Any, Final

from django.db import connection, transaction
from hypothesis.stateful import RuleBasedStateMachine

from tasks.arms.exceptions import Refused
from tasks.arms.work import Usage
from tasks.exceptions import DecisionTaken
from tasks.execution.bells import BEGIN
from tasks.execution.claiming.claims import Claimed
from tasks.execution.concluding import Conclusion, EndedCall
from tasks.execution.following import conclusion_after, done
from tasks.execution.outcomes import CallOutcome
from tasks.execution.runs import decisions
from tasks.execution.runs.finishing import finish
from tasks.execution.runs.options import Planning, RunOptions, Undecided
from tasks.execution.worker.leases import Holding
from tasks.models import Arm, Budget, Call, Client, Step, Task
from tasks.models.execution.arm import Pause
from tasks.states import StepState, TaskVerdict
from tests.factories import ClientFactory
from tests.tasks.execution import rules_that_hold
from tests.tasks.execution.bells import ringing
from tests.tasks.execution.clock import advance
from tests.tasks.execution.conftest import Hand, adapter_of
from tests.tasks.execution.made_up import answer_to, good_answer_to
from tests.tasks.execution.test_endings import everything

# Time passes in weeks of seconds. What ends after a time ends some seconds after such a week has,
# so that no example depends on how fast the machine is.
WEEK: Final = 7
# Longer than the reconciler leaves new tasks alone.
SETTLED_SECONDS: Final = 2 * WEEK
# Longer than a lease.
LOST_SECONDS: Final = 3 * WEEK
BACKOFF_SECONDS: Final = (WEEK - 1, WEEK - 1, 3 * WEEK - 1)
RETRY_AFTER_SECONDS: Final = 5 * WEEK - 1
DECISION_SECONDS: Final = 7 * WEEK - 1
# More than a task has of calls one after the other, with the time that it waits between them.
ROUNDS: Final = 60
# Before arms answer well at last.
ROUNDS_BY_CHANCE: Final = 8
# A plan, its steps, and a check.
ROUNDS_UNTIL_JUDGED: Final = 5
DECISIONS: Final = ("accept", "reject", "wish", "wish")
USAGE: Final = Usage(tokens=40, cost_usd=Decimal("0.01"))
# The arms that carry out steps, with what else they can do; then one that only judges.
EXECUTING: Final = {
    "safe": ["execute", "plan"],
    "unsafe": ["execute", "validate"],
    "model": ["execute", "plan", "validate"],
}
ARMS: Final = (*EXECUTING, "judge")
# One plans all tasks, the other one those that are not simple.
OPTIONS: Final = (
    RunOptions(planning=Planning.ALL),
    RunOptions(undecided=Undecided.ASK, decision_seconds=DECISION_SECONDS),
)


class World(RuleBasedStateMachine):
    """Two workers, four arms and some clients.

    Attributes:
        tasks: all of them, in their order.
        held: the attempts that workers work on, and those that they were lost with: they may write
            at any time.
        ended: the tasks that were seen in a final status.
        keeps_judges: whether arms judge until the end.
        chance: what arms answer. Hypothesis would draw mostly plans of one step, for example.
    """

    steps = 0
    seen: Counter[str] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self._undo = contextlib.ExitStack()
        self._undo.enter_context(transaction.atomic())
        self.hands = [
            Hand(max_cost_usd_per_day=Decimal(5), options=OPTIONS[0]),
            Hand(options=OPTIONS[1]),
        ]
        for hand in self.hands:
            # It would depend on the time that the example takes; there is a rule for it.
            hand.housekeeping._reconciled_at = math.inf
            hand.claims._adapter_of = functools.cache(adapter_of)
        self.tasks: list[uuid.UUID] = []
        self.held: list[tuple[Hand, Claimed, Holding]] = []
        self.clients: list[Client | None] = [None]
        self.ended: dict[uuid.UUID, str] = {}
        self.has_lost_bells = False
        self.keeps_judges = True
        self.chance = Random(0)

    def teardown(self) -> None:
        try:
            # Otherwise a rule is broken already, and this would hide it.
            if sys.exception() is None:
                self._let_all_end()
                self._count()
        finally:
            transaction.set_rollback(True)
            self._undo.close()

    def register(self) -> None:
        """Store the clients and the arms."""
        self.clients += ClientFactory.create_batch(2)
        fields: dict[str, Any] = {"protocol": "octollm", "url": "http://127.0.0.1:1", "room": 4}
        for name, capabilities in EXECUTING.items():
            values = {"capabilities": capabilities, "is_idempotent": name != "unsafe"}
            if name == "model":
                values |= {"protocol": "openai", "url": "http://127.0.0.1:1/v1", "model": "m"}
                values |= {"usd_per_million_output": 10}
            Arm.objects.create(name=name, **fields | values)
        Arm.objects.create(name="judge", **fields, capabilities=["validate"], is_idempotent=True)

    def decide_about(self, step: Step, how: str) -> None:
        """Decide about a result; nothing changes if that was done, or if the task has ended."""
        step.refresh_from_db()
        fields: dict[str, Any] = {"task_id": step.task_id, "step_id": step.pk, "actor": "ann"}
        before = everything()
        try:
            if how == "accept":
                decisions.accept(**fields, reason="Good")
            else:
                wish = "Be friendly" if how == "wish" else ""
                decisions.reject(**fields, reason="Bad", wish=wish)
        except DecisionTaken:
            assert step.state != StepState.READY
            assert everything() == before
        else:
            assert step.state == StepState.READY

    def claim(self, hand: Hand, name: str, lock: str) -> None:
        fetch(name, lock)
        claim = hand.claims.claim_task if name == BEGIN else hand.claims.claim_step
        claimed = claim(uuid.UUID(lock))
        if claimed is None:
            return
        World.seen["claim"] += 1
        self.held.append((hand, claimed, Holding(claimed.attempt_id)))
        budget = Budget.objects.get(run__steps=claimed.step_id)
        assert budget.spent_tokens + budget.reserved_tokens <= budget.max_tokens
        assert budget.spent_usd + budget.reserved_usd <= budget.max_cost_usd
        open_calls = Call.objects.filter(arm=claimed.arm.name, ended_at=None)
        assert open_calls.count() <= claimed.arm.room

    def answer(
        self, hand: Hand, claimed: Claimed, answer: Any, call: EndedCall | None = None
    ) -> None:
        call = call or EndedCall(
            claimed.call_id, CallOutcome.SUCCEEDED, USAGE.tokens, USAGE.cost_usd
        )
        self.write(hand, done(claimed, call, answer, 0.5, TaskVerdict.SAFE))

    def write(self, hand: Hand, conclusion: Conclusion) -> None:
        """Write, whether or not the attempt still lives; a late write changes nothing."""
        assert conclusion.attempt_id is not None
        is_live = rules_that_hold.is_live(conclusion.attempt_id)
        before = None if is_live else everything()
        is_written = finish(conclusion, OPTIONS[self.hands.index(hand)]) is not None
        assert is_written == is_live
        if before is not None:
            assert everything() == before

    def _count(self) -> None:
        """Count what has happened in this example."""
        steps = Step.objects.all()
        seen = Counter(steps.values_list("role", flat=True))
        of_plans = steps.filter(role="execute").exclude(action="")
        seen["step of a plan"] = of_plans.count()
        revisions = Counter(run for run, _ in {*of_plans.values_list("run", "revision")})
        seen["second plan"] = sum(count > 1 for count in revisions.values())
        seen["plan asked again"] = steps.filter(role="plan").exclude(faults=[]).count()
        seen["repair for staff"] = steps.filter(role="repair").exclude(action="").count()
        seen.update(
            answer["outcome"]
            for answer in steps.filter(role="decide", state="done").values_list("answer", flat=True)
        )
        World.seen += seen

    def _let_all_end(self) -> None:
        """Where staff decide, workers live and arms answer, every task ends.

        In some of the examples no arm judges any more; nobody waits for one then.
        """
        Pause.objects.end(actor="ann")
        Arm.objects.update(is_enabled=True, health="healthy")
        self.held = []
        advance(LOST_SECONDS)
        if not self.keeps_judges:
            self._lose_judges()
        unfinished = Task.objects.filter(status__in=["pending", "processing"])
        for number in range(ROUNDS):
            if not unfinished.exists():
                return
            self._do_what_rings(by_chance=number < ROUNDS_BY_CHANCE)
        rules_that_hold.all_rules()
        waiting = Step.objects.filter(task__in=unfinished, ended_at=None)
        left = [*waiting.values("role", "state", "waits_for", "waits_at", "task_id", "number")]
        assert not left, left
        assert not unfinished.exists()

    def _lose_judges(self) -> None:
        """Let the arms that judge be down until results wait for them, and judge no more."""
        Arm.objects.filter(capabilities__contains=["validate"]).update(health="down")
        for _ in range(ROUNDS_UNTIL_JUDGED):
            self._do_what_rings()
        World.seen["judge parked"] += Step.objects.filter(role="judge", waits_for="arm").count()
        Arm.objects.filter(name="judge").update(is_enabled=False)
        Arm.objects.exclude(name="judge").update(capabilities=["execute", "plan"], health="healthy")

    def _do_what_rings(self, *, by_chance: bool = False) -> None:
        """Let staff decide, and a worker do all that there is to do."""
        advance(SETTLED_SECONDS)
        self.hands[1].housekeeping.tick()
        self.hands[1].reconcile()
        for name, lock in bells():
            self.claim(self.hands[1], name, lock)
        if by_chance:
            self.answer_by_chance()
            return
        for hand, claimed, _holding in self.held:
            self.answer(hand, claimed, good_answer_to(claimed))
        self.held = []
        for step in Step.objects.filter(waits_for="decision"):
            decisions.accept(task_id=step.task_id, step_id=step.pk, actor="ann", reason="Good")

    def answer_by_chance(self) -> None:
        """Let arms answer all calls, mostly well, and staff decide."""
        for hand, claimed, _holding in self.held:
            if self.chance.randint(0, 9) == 0:
                self.write(hand, conclusion_after(Refused("never"), claimed, 100))
            else:
                self.answer(hand, claimed, answer_to(claimed, self.chance))
        self.held = []
        for step in Step.objects.filter(waits_for="decision").order_by("task_id"):
            how = self.chance.choice([*DECISIONS, "too late", None])
            if how == "too late":
                advance(DECISION_SECONDS + 1)
                decisions.expire(OPTIONS[1])
            elif how is not None:
                self.decide_about(step, how)


def bells() -> list[tuple[str, str]]:
    """Return the waiting jobs in an order that does not depend on how PostgreSQL found them."""
    return sorted(ringing(), key=itemgetter(1))


def fetch(name: str, lock: str) -> None:
    """Take a bell away, as a worker does that answers it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM procrastinate_jobs WHERE task_name = %s AND queueing_lock = %s",
            [name, lock],
        )
