"""The adapters of a process, each behind the circuit of its arm."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from safety.outbound.transport import Deadline
from tasks.arms.adapter import Adapter
from tasks.arms.connections import Connections
from tasks.arms.description import Arm, Capability, Health
from tasks.arms.exceptions import ArmError, NotSent, OutcomeUnknown
from tests.arms import (
    Behaviour,
    Held,
    ScriptedArm,
    closes,
    fails,
    hangs,
    says,
    says_status,
    works,
)
from tests.tasks.arms.calls import call, failure, octollm, openai, work
from tests.waiting import wait_for_probes, wait_until

FAILURES = 3
RESET_SECONDS = 0.05


class Watched:
    """Connections, and the changes of their circuits."""

    def __init__(self, secrets: dict[str, str] | None = None) -> None:
        self.changes: list[tuple[str, bool]] = []
        self.connections = Connections(
            secrets or {},
            failures=FAILURES,
            reset_seconds=RESET_SECONDS,
            on_change=lambda name, is_open: self.changes.append((name, is_open)),
        )
        self._arms: set[str] = set()

    def of(self, arm: Arm) -> Adapter:
        self._arms.add(arm.name)
        return self.connections.of(arm)

    def close(self) -> None:
        for name in self._arms:
            self.connections.forget(name)
        wait_for_probes()


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.close()


def fail(adapter: Adapter, times: int = FAILURES) -> None:
    for _ in range(times):
        failure(adapter)


def opened(watched: Watched, scripted: ScriptedArm) -> Adapter:
    """Return an adapter whose circuit is open."""
    scripted.behaviour, scripted.health = closes(), says({"status": "unhealthy"})
    adapter = watched.of(octollm(scripted))
    fail(adapter)
    wait_until(lambda: watched.changes == [("words", True)])
    return adapter


# Adapters


def test_each_protocol_has_its_adapter(watched: Watched, scripted: ScriptedArm) -> None:
    for arm in (octollm(scripted), openai(scripted)):
        call(watched.of(arm))

    assert [request.path for request in scripted.work] == ["/execute", "/v1/chat/completions"]


def test_a_capability_passes_through_the_circuit(watched: Watched, scripted: ScriptedArm) -> None:
    scripted.behaviour = says({})
    adapter = watched.of(octollm(scripted))

    results = [
        call(adapter, capability=capability).result
        for capability in (Capability.PLAN, Capability.VALIDATE)
    ]

    assert [request.path for request in scripted.work] == ["/plan", "/validate"]
    assert [[*result] for result in results] == [["steps"], ["verdicts"]]


def test_an_arm_gets_its_own_secret_and_no_other(scripted: ScriptedArm) -> None:
    watched = Watched({"words": "s3cret"})

    for arm in (octollm(scripted), openai(scripted)):
        call(watched.of(arm))

    assert [request.headers.get("authorization") for request in scripted.work] == [
        "Bearer s3cret",
        None,
    ]


def test_the_same_description_has_the_same_adapter(watched: Watched, scripted: ScriptedArm) -> None:
    arm = octollm(scripted)

    assert watched.of(arm) is watched.of(replace(arm))


def test_a_changed_description_has_a_new_adapter(watched: Watched, scripted: ScriptedArm) -> None:
    arm = openai(scripted)
    before = watched.of(arm)

    after = watched.of(replace(arm, refused_parameters=("temperature",)))

    assert after is not before
    assert b"temperature" not in after.request(work()).body
    assert watched.of(replace(arm, refused_parameters=("temperature",))) is after


def test_many_threads_share_one_adapter(watched: Watched, scripted: ScriptedArm) -> None:
    arm = octollm(scripted)
    together = threading.Barrier(8)
    adapters: list[Adapter] = []

    def get() -> None:
        together.wait(10)
        adapters.append(watched.of(arm))

    threads = [threading.Thread(target=get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({id(adapter) for adapter in adapters}) == 1
    assert len(adapters) == 8


def test_a_check_is_that_of_the_arm(watched: Watched, scripted: ScriptedArm) -> None:
    scripted.health = says({"status": "degraded"})

    assert watched.of(octollm(scripted)).check(deadline=Deadline(5)) is Health.DEGRADED


# Circuits


@pytest.mark.parametrize(
    "behaviour",
    [closes(), hangs(), says_status("500 Error"), says(b"<html>")],
    ids=["closes", "hangs", "500", "html"],
)
def test_failures_and_a_failed_check_open_the_circuit(
    watched: Watched, scripted: ScriptedArm, behaviour: Behaviour
) -> None:
    scripted.behaviour, scripted.health = behaviour, says_status("500 Error")
    adapter = watched.of(octollm(scripted))
    for _ in range(FAILURES):
        assert type(failure(adapter, seconds=0.2)) is OutcomeUnknown

    wait_until(lambda: watched.changes == [("words", True)])
    error = failure(adapter)

    assert (type(error), error.detail, error.retry_after_seconds) == (NotSent, "circuit open", 1)
    assert len(scripted.work) == FAILURES


def test_an_arm_that_cannot_be_reached_opens_the_circuit(
    watched: Watched, scripted: ScriptedArm
) -> None:
    scripted.go_down()
    fail(watched.of(octollm(scripted)))

    wait_until(lambda: watched.changes == [("words", True)])


@pytest.mark.parametrize("health", [{"status": "healthy"}, {"status": "degraded"}])
def test_failures_of_an_arm_that_says_it_is_well_keep_the_circuit_closed(
    watched: Watched, scripted: ScriptedArm, health: dict[str, str]
) -> None:
    scripted.behaviour, scripted.health = closes(), says(health)
    adapter = watched.of(octollm(scripted))

    fail(adapter)
    wait_for_probes()
    scripted.behaviour = works()

    assert call(adapter).result == "done"
    assert watched.changes == []


@pytest.mark.parametrize(
    "behaviour",
    [
        fails(),
        fails("validation", status="400 Bad Request"),
        says_status("400 Bad Request"),
        says_status("401 Unauthorized"),
        says_status("429 Too Many"),
        says_status("503 Unavailable"),
    ],
    ids=["failed", "400-with-an-error", "400", "401", "429", "503"],
)
def test_an_arm_that_answers_keeps_the_circuit_closed(
    watched: Watched, scripted: ScriptedArm, behaviour: Behaviour
) -> None:
    scripted.behaviour, scripted.health = behaviour, closes()

    fail(watched.of(octollm(scripted)), times=3 * FAILURES)

    assert not any(request.method == "GET" for request in scripted.requests)


def cancelled_call(adapter: Adapter, scripted: ScriptedArm) -> ArmError:
    scripted.behaviour = held = Held()
    deadline = Deadline(30)
    cancelling = threading.Thread(target=lambda: held.arrived.wait(30) and deadline.cancel())
    cancelling.start()
    error = failure(adapter, deadline=deadline)
    cancelling.join()
    held.release()
    return error


def test_cancelled_calls_say_nothing_about_the_arm(watched: Watched, scripted: ScriptedArm) -> None:
    scripted.health = closes()
    adapter = watched.of(octollm(scripted))
    scripted.behaviour = closes()
    fail(adapter, times=FAILURES - 1)

    for _ in range(FAILURES):
        assert cancelled_call(adapter, scripted).detail == "call cancelled"
    wait_for_probes()
    assert watched.changes == []

    # The failures before them still count.
    scripted.behaviour = closes()
    fail(adapter, times=1)
    wait_until(lambda: watched.changes == [("words", True)])


def test_a_healthy_arm_closes_the_circuit(watched: Watched, scripted: ScriptedArm) -> None:
    adapter = opened(watched, scripted)

    scripted.behaviour, scripted.health = works(), says({"status": "healthy"})
    wait_until(lambda: watched.changes == [("words", True), ("words", False)])

    assert call(adapter).result == "done"


def test_the_circuit_of_one_arm_is_not_that_of_another(
    watched: Watched, scripted: ScriptedArm
) -> None:
    opened(watched, scripted)
    scripted.behaviour = works()

    assert call(watched.of(openai(scripted))).result == "done"


@pytest.mark.parametrize(
    "leave",
    [
        lambda watched, scripted: watched.connections.forget("words"),
        lambda watched, scripted: watched.of(octollm(scripted, room=2)),
    ],
    ids=["forgotten", "changed"],
)
def test_an_open_circuit_ends_with_its_description(
    watched: Watched, scripted: ScriptedArm, leave: Callable[[Watched, ScriptedArm], object]
) -> None:
    opened(watched, scripted)

    leave(watched, scripted)
    wait_for_probes()
    checks = len(scripted.requests)
    scripted.behaviour = works()

    assert watched.changes == [("words", True), ("words", False)]
    assert call(watched.of(octollm(scripted, room=2))).result == "done"
    assert len(scripted.requests) == checks + 1
