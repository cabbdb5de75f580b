"""Faults of the Reflex Layer, under load."""

import itertools
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.faults.conftest import Judge, stage_on
from tests.faults.load import Load
from tests.faults.trial import Form, Stage, observe
from tests.postgresql import Postgresql
from tests.reflex_layer import Behaviour, ScriptedReflexLayer, answer, hangs, says, sends, trickles

CLEAN = says(answer())
HEADERS = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


def slow(seconds: float) -> Behaviour:
    def behave(connection: socket.socket) -> bool:
        threading.Event().wait(seconds)
        return CLEAN(connection)

    return behave


def takes_turns(*behaviours: Behaviour) -> Behaviour:
    turns = itertools.cycle(behaviours)
    return lambda connection: next(turns)(connection)


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedReflexLayer]:
    with ScriptedReflexLayer() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def stage(
    server: Postgresql,
    scripted: ScriptedReflexLayer,
    tmp_path_factory: pytest.TempPathFactory,
    form: Form,
) -> Iterator[Stage]:
    """A service with a scripted Reflex Layer."""
    folder = tmp_path_factory.mktemp("service")
    with stage_on(server, scripted.url, folder, form) as stage:
        yield stage


def test_down(stage: Stage, scripted: ScriptedReflexLayer, judge: Judge) -> None:
    seconds = stage.form.fault_seconds

    def fault(load: Load) -> None:
        scripted.go_down()
        load.go_on(seconds)
        scripted.come_up()

    judge(
        "Reflex Layer down",
        observe(
            stage,
            fault,
            done=f"connections closed, new ones refused for {seconds:g} s",
        ),
    )


@pytest.mark.parametrize(
    ("name", "done", "behaviour"),
    [
        ("hanging", "reads requests and does not answer", hangs()),
        (
            "trickling",
            "sends one byte of the answer every 0.1 s",
            trickles(HEADERS, b" ", pause_seconds=0.1),
        ),
        (
            "answering garbage",
            "answers that are not HTTP, not JSON, or not in the protocol",
            takes_turns(sends(b"\x16\x03\x01\x00\xff" * 9), says(b"<p>Hello</p>"), says([])),
        ),
    ],
    ids=["hanging", "trickling", "garbage"],
)
def test_without_a_verdict(
    stage: Stage,
    scripted: ScriptedReflexLayer,
    judge: Judge,
    name: str,
    done: str,
    behaviour: Behaviour,
) -> None:
    seconds = stage.form.fault_seconds

    def fault(load: Load) -> None:
        scripted.behaviour = behaviour
        load.go_on(seconds)
        scripted.behaviour = CLEAN

    judge(
        f"Reflex Layer {name}",
        observe(
            stage,
            fault,
            done=f"{done}, for {seconds:g} s",
        ),
    )


def test_slow(stage: Stage, scripted: ScriptedReflexLayer, judge: Judge) -> None:
    seconds = stage.form.fault_seconds

    def fault(load: Load) -> None:
        scripted.behaviour = slow(1)
        load.go_on(seconds)
        scripted.behaviour = CLEAN

    done = f"answers 1 s late, for {seconds:g} s"
    judge("Reflex Layer slow", observe(stage, fault, done=done))
