"""Points at which a worker is held from outside while a fault happens to it."""

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import psycopg

from tests.arms import Held, in_turn, works
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
DURING_THE_CALL = "during the call"
BEFORE_THE_SCREENING = "before the screening"
POINTS = [*STATEMENTS, DURING_THE_CALL, BEFORE_THE_SCREENING]


def make_holdable(database: Database) -> None:
    database.execute(_FUNCTION)
    for statement in STATEMENTS.values():
        database.execute(
            f"CREATE TRIGGER hold {statement.when} EXECUTE FUNCTION hold({statement.lock})"
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
