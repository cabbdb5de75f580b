"""Which arm a step gets, and how the places of an arm are shared."""

import contextlib
from collections.abc import Iterator

import pytest
from django.db import transaction

from tasks.execution.claiming.routing import choose_arm
from tasks.execution.parked import ring_parked
from tasks.models import Arm, Call, Client, Run, Step, Task
from tasks.states import Priority
from tests.arms import ScriptedArm, says_status
from tests.factories import ClientFactory, TaskFactory
from tests.tasks.execution.bells import ringing
from tests.tasks.execution.clock import advance
from tests.tasks.execution.conftest import Hand, register

pytestmark = pytest.mark.django_db


@pytest.fixture
def arms() -> Iterator[dict[str, ScriptedArm]]:
    """Three registered arms; only the tiers differ."""
    with contextlib.ExitStack() as opened:
        scripted = {name: opened.enter_context(ScriptedArm()) for name in ("one", "two", "three")}
        for tier, (name, server) in enumerate(scripted.items(), start=1):
            register(server, name, tier=tier)
        yield scripted


def claimed_by(worker: Hand, **fields: object) -> str | None:
    """Return the arm that a new task gets; None if it is parked."""
    claimed = worker.claims.claim_task(TaskFactory(**fields).pk)
    return None if claimed is None else claimed.arm.name


def test_the_lowest_price_tier_comes_first(worker: Hand, arms: dict[str, ScriptedArm]) -> None:
    assert [claimed_by(worker) for _ in range(3)] == ["one"] * 3


def test_a_full_arm_leaves_work_to_the_next_tier(
    worker: Hand, arms: dict[str, ScriptedArm]
) -> None:
    Arm.objects.update(room=2)
    assert [claimed_by(worker) for _ in range(4)] == ["one", "one", "two", "two"]


def test_of_one_tier_the_least_busy_comes_first(worker: Hand, arms: dict[str, ScriptedArm]) -> None:
    Arm.objects.update(tier=3)
    assert [claimed_by(worker) for _ in range(4)] == ["one", "three", "two", "one"]


@pytest.mark.parametrize("health", ["unknown", "healthy", "degraded"])
def test_an_arm_that_is_not_known_to_be_down_gets_work(
    worker: Hand, arms: dict[str, ScriptedArm], health: str
) -> None:
    Arm.objects.update(health=health)
    assert claimed_by(worker) == "one"


@pytest.mark.parametrize("health", ["down", "misconfigured"])
def test_an_arm_that_is_known_to_be_down_gets_none(
    worker: Hand, arms: dict[str, ScriptedArm], health: str
) -> None:
    Arm.objects.filter(name="one").update(health=health)
    assert claimed_by(worker) == "two"


def test_a_pinned_task_gets_its_arm_whatever_it_costs(
    worker: Hand, arms: dict[str, ScriptedArm]
) -> None:
    assert claimed_by(worker, assigned_arm="three") == "three"
    assert Run.objects.get().pinned_arm == "three"


def test_the_arm_that_was_chosen_is_written_to_the_task(
    worker: Hand, arms: dict[str, ScriptedArm]
) -> None:
    claimed_by(worker)
    assert Task.objects.get().assigned_arm == "one"
    assert Run.objects.get().pinned_arm is None


def test_a_requeued_task_is_not_bound_to_the_arm_that_was_chosen_before(
    worker: Hand, arms: dict[str, ScriptedArm]
) -> None:
    arms["one"].behaviour = says_status("400 Bad Request")
    task = TaskFactory()
    worker.carrier.carry_out_task(task.pk)
    Arm.objects.filter(name="one").update(is_enabled=False)
    Task.objects.get().requeue()
    worker.work()
    assert Task.objects.get().assigned_arm == "two"


def test_a_requeued_task_stays_pinned(worker: Hand, arms: dict[str, ScriptedArm]) -> None:
    arms["two"].behaviour = says_status("400 Bad Request")
    task = TaskFactory(assigned_arm="two")
    for _ in range(2):
        worker.carrier.carry_out_task(task.pk)
        Task.objects.get().requeue()
    assert len(arms["two"].work) == 2
    assert arms["one"].work == []


def test_a_task_whose_call_was_never_sent_is_not_bound_by_a_requeue(
    worker: Hand, arms: dict[str, ScriptedArm]
) -> None:
    arms["one"].go_down()
    task = TaskFactory(max_time_seconds=60)
    worker.carrier.carry_out_task(task.pk)
    advance(100)
    worker.reconcile()
    Arm.objects.filter(name="one").update(health="down")
    Task.objects.get().requeue()
    worker.work()
    assert Task.objects.get().status == "completed"
    assert [*Run.objects.values_list("pinned_arm", flat=True)] == [None, None]


def test_a_step_that_was_sent_goes_on_at_its_arm(
    worker: Hand, arms: dict[str, ScriptedArm]
) -> None:
    arms["one"].behaviour = says_status("503 Service Unavailable")
    worker.carrier.carry_out_task(TaskFactory().pk)
    Arm.objects.filter(name="one").update(tier=9)
    advance(30)
    worker.housekeeping.tick()
    worker.work()
    assert [*Call.objects.values_list("arm", flat=True)] == ["one", "one"]


# Fair shares


@pytest.fixture
def greedy(arm: ScriptedArm) -> Client:
    """A client that has three of the four places of the only arm."""
    Arm.objects.update(room=4)
    client: Client = ClientFactory()
    return client


def take(worker: Hand, client: Client | None, *, priority: str = Priority.MEDIUM) -> bool:
    """Let a client try to get a place; return whether it has one."""
    return claimed_by(worker, client=client, priority=priority) is not None


def test_a_client_alone_gets_all_places(worker: Hand, greedy: Client) -> None:
    assert [take(worker, greedy) for _ in range(5)] == [True] * 4 + [False]


def test_while_another_client_waits_a_client_gets_half_of_the_places(
    worker: Hand, greedy: Client
) -> None:
    TaskFactory(client=ClientFactory())
    assert [take(worker, greedy) for _ in range(3)] == [True, True, False]
    assert Step.objects.get(waits_for__isnull=False).waits_for == "room"


def test_the_one_that_waits_gets_the_other_half(worker: Hand, greedy: Client) -> None:
    other = ClientFactory()
    TaskFactory(client=other)
    for _ in range(3):
        take(worker, greedy)
    assert [take(worker, other) for _ in range(2)] == [True, True]


def test_a_client_whose_tasks_wait_for_their_release_does_not_count(
    worker: Hand, greedy: Client
) -> None:
    Arm.objects.update(is_enabled=False)
    take(worker, ClientFactory())
    Step.objects.update(waits_for="release")
    Arm.objects.update(is_enabled=True)
    assert [take(worker, greedy) for _ in range(4)] == [True] * 4


def test_anonymous_tasks_count_as_one_client(worker: Hand, greedy: Client) -> None:
    TaskFactory(client=ClientFactory())
    assert [take(worker, None) for _ in range(3)] == [True, True, False]


def test_anonymous_tasks_that_were_parked_for_room_count_as_waiting(
    worker: Hand, greedy: Client
) -> None:
    Arm.objects.update(room=1)
    take(worker, greedy)
    take(worker, None)
    Arm.objects.update(room=4)
    assert [take(worker, greedy) for _ in range(2)] == [True, False]


def test_an_arm_with_one_place_serves_everybody(worker: Hand, greedy: Client) -> None:
    Arm.objects.update(room=1)
    TaskFactory(client=ClientFactory())
    assert take(worker, greedy)


def test_a_client_beyond_its_share_does_not_keep_the_others_waiting(
    worker: Hand, greedy: Client
) -> None:
    # Its parked steps have the highest ranks. They must not be rung again and again in place of the
    # step that may have the free place.
    other = ClientFactory()
    begun = [worker.claims.claim_task(TaskFactory(client=greedy).pk) for _ in range(4)]
    for _ in range(4):
        take(worker, greedy, priority=Priority.HIGH)
    take(worker, other)
    for claimed in begun[:2]:
        assert claimed is not None
        Task.objects.get(pk=claimed.task_id).cancel()
    worker.housekeeping.tick()
    worker.work()
    worker.housekeeping.tick()
    worker.work()
    assert Task.objects.get(client=other).status == "completed"


def test_what_is_parked_for_its_share_is_not_rung_all_the_time(
    worker: Hand, greedy: Client
) -> None:
    TaskFactory(client=ClientFactory())
    for _ in range(3):
        take(worker, greedy)
    ring_parked()
    worker.work()
    assert not ringing()


def test_a_step_of_a_plan_that_was_parked_for_room_counts_as_waiting(
    worker: Hand, greedy: Client
) -> None:
    Arm.objects.update(room=1)
    take(worker, greedy)
    other = ClientFactory()
    take(worker, other)
    # Its task is processed already.
    Task.objects.filter(client=other).update(status="processing")
    Arm.objects.update(room=4)
    assert [take(worker, greedy) for _ in range(2)] == [True, False]


# Capabilities


def chosen(capability: str, *, not_by: list[str] | None = None) -> str | None:
    """Return the arm that a step with a capability would get."""
    with transaction.atomic():
        choice = choose_arm(capability=capability, pinned_arm=None, client_id=None, not_by=not_by)
    return None if choice is None else choice.arm.name


@pytest.mark.parametrize("capability", ["plan", "validate"])
def test_an_arm_gets_only_what_it_can_do(arms: dict[str, ScriptedArm], capability: str) -> None:
    assert chosen(capability) is None
    Arm.objects.filter(name="three").update(capabilities=["execute", capability])
    assert chosen(capability) == "three"
    assert chosen("execute") == "one"


def test_a_judge_is_none_of_the_authors(arms: dict[str, ScriptedArm]) -> None:
    Arm.objects.update(capabilities=["execute", "validate"])
    assert chosen("validate", not_by=[]) == "one"
    assert chosen("validate", not_by=["one"]) == "two"
    assert chosen("validate", not_by=["one", "two"]) == "three"
    assert chosen("validate", not_by=["one", "two", "three"]) is None
