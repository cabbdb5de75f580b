"""A worker's parts without its threads: a test says when each of them does something."""

import contextlib
import uuid
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.db import connection

from safety.gate import answer_gate
from tasks.arms.adapter import Adapter
from tasks.arms.description import Arm as Description
from tasks.arms.description import Protocol
from tasks.arms.octollm import OctollmAdapter
from tasks.arms.openai import OpenaiAdapter
from tasks.execution.bells import BEGIN
from tasks.execution.claiming.claims import Claims
from tasks.execution.runs.options import DEFAULT, RunOptions
from tasks.execution.worker import recovery
from tasks.execution.worker.carrying_out import Carrier
from tasks.execution.worker.housekeeping import Housekeeping
from tasks.execution.worker.leases import Leases
from tasks.execution.worker.recovery import Reconciler
from tasks.models import Arm
from tests.arms import ScriptedArm
from tests.reflex_layer import ScriptedReflexLayer
from tests.tasks.execution.bells import ringing


def adapter_of(arm: Description) -> Adapter:
    return (OctollmAdapter if arm.protocol is Protocol.OCTOLLM else OpenaiAdapter)(arm)


class Hand:
    """One worker, which does what a test tells it."""

    def __init__(
        self, *, max_cost_usd_per_day: Decimal | None = None, options: RunOptions = DEFAULT
    ) -> None:
        self.id = uuid.uuid4()
        self.leases = Leases(worker_id=self.id, allowance=contextlib.nullcontext)
        self.claims = Claims(
            worker_id=self.id,
            adapter_of=adapter_of,
            max_cost_usd_per_day=max_cost_usd_per_day,
            options=options,
        )
        self.carrier = Carrier(
            claims=self.claims,
            leases=self.leases,
            adapter_of=adapter_of,
            gate=answer_gate(),
            allowance=contextlib.nullcontext,
            options=options,
        )
        self.housekeeping = Housekeeping(
            allowance=contextlib.nullcontext,
            max_cost_usd_per_day=max_cost_usd_per_day,
            options=options,
        )
        self.reconciler = Reconciler(options)
        # At its first look, a reconciler cannot know whether the database was away.
        self.reconciler.reconcile(now=0)
        self._reconciled_at = 5.0
        self.reconcile()

    def reconcile(self) -> dict[str, int]:
        """Look for lost work, as every five seconds; return what was found."""
        self._reconciled_at += 5
        found = self.reconciler.reconcile(now=self._reconciled_at)
        return {name: number for name, number in found.items() if number}

    def work_until_idle(self) -> None:
        """Carry out every task and step whose bell rings, and what follows from each."""
        while ringing():
            self.work()

    def work(self) -> None:
        """Carry out every task and step whose bell rings, one after the other, as they are now."""
        for name, lock in ringing():
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM procrastinate_jobs WHERE queueing_lock = %s", [lock])
            if name == BEGIN:
                self.carrier.carry_out_task(uuid.UUID(lock))
            else:
                self.carrier.carry_out_step(uuid.UUID(lock))


@pytest.fixture
def old_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the PostgreSQL of the tests, which has just started, be one that has run for long."""
    monkeypatch.setattr(recovery, "_IS_QUIET", "SELECT false")


@pytest.fixture
def worker(reflex_layer: ScriptedReflexLayer) -> Hand:
    return Hand()


@pytest.fixture
def other_worker(worker: Hand) -> Hand:
    return Hand()


@pytest.fixture
def arm() -> Iterator[ScriptedArm]:
    """A registered arm of the protocol `octollm`."""
    with ScriptedArm() as scripted:
        register(scripted)
        yield scripted


@pytest.fixture
def model() -> Iterator[ScriptedArm]:
    """A registered arm of the protocol `openai`."""
    with ScriptedArm() as scripted:
        register(scripted, "model", protocol="openai", model="m", is_idempotent=True)
        yield scripted


def register(scripted: ScriptedArm, name: str = "helper", **fields: object) -> Arm:
    url = scripted.model_url if fields.get("protocol") == "openai" else scripted.url
    values = {"protocol": "octollm", "capabilities": ["execute"], "url": url} | fields
    return Arm.objects.create(name=name, **values)
