"""Points at which a worker is held from outside while a fault happens to it."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import psycopg

from tests.arms import Behaviour, Held, Received, by_path, in_turn, judges, plans, step, works
from tests.reflex_layer import ScriptedReflexLayer, answer, says
from tests.reflex_layer import in_turn as reflex_in_turn
from tests.waiting import wait_until
from tests.witness import WitnessArm
from tests.workers import Database

# Statements that a trigger holds wait for a lock that the test has; without it, they go on at once.
_FUNCTION = """
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_advisory_xact_lock_shared(TG_ARGV[0]::integer); RETURN OLD; END
$$
"""
# The same for the steps of one role; a job that begins a planned task makes its plan.
_FUNCTION_OF_ROLE = """
CREATE FUNCTION hold_role() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE key text := CASE TG_OP
        WHEN 'DELETE' THEN to_jsonb(OLD) ->> 'queueing_lock' ELSE to_jsonb(NEW) ->> 'step_id'
    END;
    BEGIN
        IF coalesce((SELECT role FROM steps WHERE id::text = key), 'plan') = TG_ARGV[1] THEN
            PERFORM pg_advisory_xact_lock_shared(TG_ARGV[0]::integer);
        END IF;
        RETURN OLD;
    END
$$
"""
_WAITING = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted
"""


class Statement(NamedTuple):
    """A statement that is held.

    Attributes:
        lock: what it waits for.
        when: the beginning of the trigger.
        count: how many of them come at once for two tasks.
    """

    lock: int
    when: str
    count: int


STATEMENTS = {
    "before the claim is committed": Statement(1, "AFTER INSERT ON calls FOR EACH ROW", 2),
    "before the result is committed": Statement(
        2, "AFTER UPDATE ON attempts FOR EACH ROW WHEN (NEW.ended_at IS NOT NULL)", 2
    ),
    "after the result is committed": Statement(
        3,
        "BEFORE DELETE ON procrastinate_jobs FOR EACH ROW WHEN (OLD.task_name = 'begin')",
        1,
    ),
}
_WHEN_OF_ROLE = {
    "before the claim is committed": "AFTER INSERT ON calls FOR EACH ROW",
    "before the result is committed": (
        "AFTER UPDATE ON attempts FOR EACH ROW WHEN (NEW.ended_at IS NOT NULL)"
    ),
    "after the result is committed": "BEFORE DELETE ON procrastinate_jobs FOR EACH ROW",
}
# What is done for a planned task, one after the other, by the role of the step.
ROLES = ("plan", "execute", "repair", "judge")
STATEMENTS_OF_ROLES = {
    (point, role): Statement(100 * number + place, when, 1)
    for number, (point, when) in enumerate(_WHEN_OF_ROLE.items(), start=1)
    for place, role in enumerate(ROLES)
}
DURING_THE_CALL = "during the call"
BEFORE_THE_SCREENING = "before the screening"
POINTS = [*STATEMENTS, DURING_THE_CALL, BEFORE_THE_SCREENING]


def make_holdable(database: Database) -> None:
    database.execute(_FUNCTION)
    for statement in STATEMENTS.values():
        database.execute(
            f"CREATE TRIGGER hold {statement.when} EXECUTE FUNCTION hold({statement.lock})"
        )
    database.execute(_FUNCTION_OF_ROLE)
    for (_point, role), statement in STATEMENTS_OF_ROLES.items():
        database.execute(
            f"CREATE TRIGGER hold_{role} {statement.when}"
            f" EXECUTE FUNCTION hold_role({statement.lock}, '{role}')"
        )


@contextlib.contextmanager
def held(
    point: str, url: str, arms: list[WitnessArm], reflex_layer: ScriptedReflexLayer
) -> Iterator[Callable[[], None]]:
    """Hold what comes to a point while the block runs; yield a function that waits for it."""
    with contextlib.ExitStack() as opened:
        if point == DURING_THE_CALL:
            yield opened.enter_context(_calls_held(arms))
        elif point == BEFORE_THE_SCREENING:
            yield opened.enter_context(_screening_held(reflex_layer))
        else:
            yield opened.enter_context(_statements_held(url, STATEMENTS[point]))


@contextlib.contextmanager
def _calls_held(arms: list[WitnessArm]) -> Iterator[Callable[[], None]]:
    """Hold the first call of each arm; later ones are answered at once."""
    holds = [Held() for _ in arms]
    for arm, hold in zip(arms, holds, strict=True):
        arm.then = in_turn(hold, works())

    def wait() -> None:
        for hold in holds:
            assert hold.arrived.wait(20)

    yield wait
    for hold in holds:
        hold.release()


@contextlib.contextmanager
def _screening_held(reflex_layer: ScriptedReflexLayer) -> Iterator[Callable[[], None]]:
    """Hold the first two screenings; later ones are answered at once."""
    hold = Held()
    clean = says(answer())

    def waits(connection: object) -> bool:
        hold.arrived.set()
        hold._released.wait(20)
        return clean(connection)  # type: ignore[arg-type]

    before = len(reflex_layer.texts)
    reflex_layer.behaviour = reflex_in_turn(waits, waits, clean)

    def wait() -> None:
        wait_until(lambda: len(reflex_layer.texts) >= before + 2, 20)

    yield wait
    hold.release()


@contextlib.contextmanager
def _statements_held(url: str, statement: Statement) -> Iterator[Callable[[], None]]:
    with psycopg.connect(url, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [statement.lock])

        def are_waiting() -> bool:
            row = holder.execute(_WAITING, [statement.lock]).fetchone()
            return row is not None and row[0] >= statement.count

        yield lambda: wait_until(are_waiting, 20)
        holder.execute("SELECT pg_advisory_unlock(%s)", [statement.lock])


def let_leases_run_out(database: Database) -> None:
    database.execute(
        "UPDATE attempts SET lease_until = clock_timestamp() - interval '1 second'"
        " WHERE ended_at IS NULL"
    )


# Planned tasks: four steps side by side and one that needs them, whose result has to be repaired
# before a judge likes it.
SIDE_BY_SIDE = 4
CRITERIA = ["Contains 'good'", "It sounds friendly"]
_PLAN = plans(
    *(step(number) for number in range(1, SIDE_BY_SIDE + 1)),
    step(SIDE_BY_SIDE + 1, *range(1, SIDE_BY_SIDE + 1)),
)


def role_of(request: Received) -> str:
    """Return the role of the step that an arm is asked for."""
    if request.path == "/execute":
        return "repair" if "repair" in request.json["task_contract"]["context"] else "execute"
    return {"/plan": "plan", "/validate": "judge"}[request.path]


def _executes(request: Received, connection: socket.socket) -> bool:
    result = "good" if role_of(request) == "repair" else "bad"
    return works(result)(request, connection)


# What all arms of planned tasks do.
works_on_plans: Behaviour = by_path(plan=_PLAN, execute=_executes, validate=judges(True))


class _Gate:
    """Holds the first ones that come to it, and lets later ones through."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._places, self._arrived = threading.Semaphore(count), threading.Semaphore(0)
        self._released = threading.Event()

    def pass_through(self) -> None:
        if self._places.acquire(blocking=False):
            self._arrived.release()
            self._released.wait(60)

    def wait(self) -> None:
        """Wait until all that it holds have come."""
        for _ in range(self._count):
            assert self._arrived.acquire(timeout=20)

    def release(self) -> None:
        self._released.set()


@contextlib.contextmanager
def held_in_plan(
    point: str, role: str, url: str, arms: list[WitnessArm], reflex_layer: ScriptedReflexLayer
) -> Iterator[Callable[[], None]]:
    """Hold planned tasks at a point of their steps; yield a function that waits for it."""
    if (point, role) in STATEMENTS_OF_ROLES:
        with _statements_held(url, STATEMENTS_OF_ROLES[point, role]) as until_held:
            yield until_held
        return
    # Two tasks, at two arms.
    gate = _Gate(2 * SIDE_BY_SIDE if role == "execute" else 2)

    def calls(request: Received, connection: socket.socket) -> bool:
        if role_of(request) == role:
            if point == DURING_THE_CALL:
                gate.pass_through()
            else:
                reflex_layer.behaviour = screens
        return works_on_plans(request, connection)

    def screens(connection: socket.socket) -> bool:
        gate.pass_through()
        return says(answer())(connection)

    for arm in arms:
        arm.then = calls
    yield gate.wait
    gate.release()
