"""The counters that all processes share."""

import subprocess
import sys
import threading
from decimal import Decimal

import pytest
from django.db import connection

from tasks.execution.counting import (
    ADD,
    BEYOND,
    COLUMNS,
    DURATION_BUCKETS,
    PARTS,
    bucket_sql,
    part,
)
from tasks.models import Count
from tests.environment import ROOT
from tests.tasks.execution.counters import counters


def count(name: str, labels: list[str], shard: int, value: str) -> None:
    with connection.cursor() as cursor:
        statement = f"INSERT INTO {COLUMNS} VALUES (%s, %s, %s, %s) {ADD}"
        cursor.execute(statement, [name, labels, shard, value])


@pytest.mark.django_db
def test_a_part_of_a_counter_is_raised_in_place() -> None:
    count("cost_usd", ["helper"], 3, "0.1")
    count("cost_usd", ["helper"], 3, "0.00000002")
    assert Count.objects.values_list("labels", "shard", "value").get() == (
        ["helper"],
        3,
        Decimal("0.10000002"),
    )


@pytest.mark.django_db
def test_parts_labels_and_names_are_counted_apart() -> None:
    for name, labels, shard in (
        ("tasks", ["pending"], 0),
        ("tasks", ["pending"], 1),
        ("tasks", ["failed"], 0),
        ("leases_lost", [], 0),
    ):
        count(name, labels, shard, "1")
    assert Count.objects.count() == 4
    assert counters("tasks") == {("pending",): 2, ("failed",): 1}
    assert counters("leases_lost") == {(): 1}


def test_threads_of_a_process_raise_different_parts() -> None:
    parts: list[int] = []
    barrier = threading.Barrier(4)

    def take() -> None:
        # All of them live at the same time, as their numbers are used again.
        barrier.wait(10)
        parts.append(part())
        barrier.wait(10)
        parts.append(part())

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Each thread keeps its part.
    assert sorted(parts.count(one) for one in set(parts)) == [2] * 4
    assert set(parts) <= {*range(PARTS)}


FORK = """
import os
from tasks.execution.counting import part
parts = {part()}
for _ in range(3):
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, b"%d" % part())
        os._exit(0)
    os.waitpid(child, 0)
    parts.add(int(os.read(reader, 10)))
print(len(parts))
"""


def test_a_forked_process_raises_a_part_of_its_own() -> None:
    """A thread has the local values of the one that forked its process."""
    command = [sys.executable, "-c", FORK]
    forked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(forked.stdout) > 1


@pytest.mark.parametrize(
    ("seconds", "label"),
    [
        (0, "0.1"),
        (0.1, "0.1"),
        (0.1001, "0.25"),
        (1, "1"),
        (86_400, "86400"),
        (86_400.1, BEYOND),
        # The clock went back.
        (-1, "0.1"),
    ],
)
@pytest.mark.django_db
def test_a_duration_is_in_the_first_bucket_that_holds_it(seconds: float, label: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {bucket_sql('%(seconds)s::numeric')}", {"seconds": seconds})
        assert cursor.fetchone() == (label,)


def test_buckets_grow() -> None:
    assert list(DURATION_BUCKETS) == sorted(set(DURATION_BUCKETS))
