"""Continuous load on a service, and the answers to each client."""

import contextlib
import http.client
import itertools
import json
import random
import threading
import time
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from tests.service import Service

# More than the service has threads, so that a fault can block all of them.
CLIENTS = 24
# The most that each client sends, so that the load does not overload the service.
REQUESTS_PER_SECOND = 4
PROBES_PER_SECOND = 10
# Longer than any request may take: screening, database and the wait for a slot.
SILENCE_SECONDS = 15
REMEMBERED_TASKS = 200
BURST = 48


class Ending(StrEnum):
    """How a request ended for its client."""

    ANSWERED = "answered"
    # Nothing was sent.
    REFUSED = "connection refused"
    # The request was sent, partly or completely, and the connection ended without an answer.
    BROKEN = "connection broken"
    SILENT = "no answer in time"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request, from the client's point of view.

    Attributes:
        marker: the goal of the task that was submitted or read.
        client: the number of the client.
        task_id: of the task that was read or submitted.
        sent_at: when the last byte was passed to the kernel.
        retry_after: the Retry-After header; empty without one.
    """

    is_submission: bool
    marker: str
    ending: Ending
    began_at: float
    ended_at: float
    sent_at: float | None = None
    status: int = 0
    client: int = 0
    task_id: str = ""
    goal: str = ""
    retry_after: str = ""

    @property
    def is_stored(self) -> bool:
        """Whether the client was told that its task is stored."""
        return self.is_submission and self.status == http.client.OK


@dataclass(frozen=True, slots=True)
class Probe:
    """One request to /health, on a connection of its own."""

    began_at: float
    seconds: float
    status: int


class Client:
    """One client with one keep-alive connection."""

    def __init__(self, port: int, number: int = 0) -> None:
        self._number = number
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SILENCE_SECONDS)

    def submit(self, marker: str) -> Outcome:
        return self._ask("POST", "/submit", marker, body=json.dumps({"goal": marker}))

    def read(self, marker: str, task_id: str) -> Outcome:
        return self._ask("GET", f"/tasks/{task_id}", marker, task_id=task_id)

    def close(self) -> None:
        self._connection.close()

    def _ask(
        self, method: str, path: str, marker: str, *, task_id: str = "", body: str | None = None
    ) -> Outcome:
        began_at, sent_at = time.monotonic(), None
        headers = {"Content-Type": "application/json"} if body else {}
        answer, content, ending = None, {}, Ending.REFUSED
        try:
            if self._connection.sock is None:
                self._connection.connect()
            ending = Ending.BROKEN
            self._connection.request(method, path, body, headers)
            sent_at = time.monotonic()
            answer = self._connection.getresponse()
            content = json.loads(answer.read())
            ending = Ending.ANSWERED
        except TimeoutError:
            ending = Ending.SILENT
        except (OSError, http.client.HTTPException, ValueError):
            pass
        if ending is not Ending.ANSWERED:
            self._connection.close()
        return Outcome(
            is_submission=method == "POST",
            marker=marker,
            ending=ending,
            began_at=began_at,
            sent_at=sent_at,
            ended_at=time.monotonic(),
            status=answer.status if answer and ending is Ending.ANSWERED else 0,
            client=self._number,
            task_id=content.get("task_id", task_id),
            goal=content.get("goal", ""),
            retry_after=(answer and answer.getheader("Retry-After")) or "",
        )


class Load:
    """Clients that submit tasks and read them, and a probe of /health.

    Each submission has a unique goal, so that its row can be found whatever the answer was.

    Attributes:
        outcomes: of all requests so far, in the order in which they ended.
        probes: all probes of /health so far.
    """

    def __init__(self, service: Service) -> None:
        self.outcomes: list[Outcome] = []
        self.probes: list[Probe] = []
        self._port = service.port
        self._over = threading.Event()
        self._series = _in_letters(random.getrandbits(60))
        self._numbers = itertools.count()
        self._stored: deque[Outcome] = deque(maxlen=REMEMBERED_TASKS)
        self._threads = [
            threading.Thread(target=self._work, args=[number]) for number in range(CLIENTS)
        ]
        self._threads.append(threading.Thread(target=self._probe))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, seconds: float) -> None:
        """Let the load continue for `seconds`."""
        self._over.wait(seconds)

    def burst(self) -> None:
        """Send many submissions at the same moment, each on its own connection."""
        together = threading.Barrier(BURST)

        def once() -> None:
            client = Client(self._port)
            together.wait()
            self._note(client.submit(self._next_marker()))
            client.close()

        threads = [threading.Thread(target=once) for _ in range(BURST)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @property
    def markers_begin_with(self) -> str:
        return f"Sort the reviews of {self._series} "

    def _next_marker(self) -> str:
        # Letters only: the Reflex Layer could take a number for personal data.
        return self.markers_begin_with + _in_letters(next(self._numbers))

    def _work(self, number: int) -> None:
        client = Client(self._port, number)
        for turn in itertools.count():
            began_at = time.monotonic()
            if turn % 3 == 2 and self._stored:
                task = random.choice(self._stored)
                self._note(client.read(task.marker, task.task_id))
            else:
                self._note(client.submit(self._next_marker()))
            if self._over.wait(max(0, began_at + 1 / REQUESTS_PER_SECOND - time.monotonic())):
                break
        client.close()

    def _note(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        if outcome.is_stored:
            self._stored.append(outcome)

    def _probe(self) -> None:
        is_over = False
        while not is_over:
            began_at = time.monotonic()
            status = self._health()
            seconds = time.monotonic() - began_at
            self.probes.append(Probe(began_at, seconds, status))
            is_over = self._over.wait(max(0, 1 / PROBES_PER_SECOND - seconds))

    def _health(self) -> int:
        """Return the status of /health, or zero without an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=SILENCE_SECONDS)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/health", headers={"Connection": "close"})
                return connection.getresponse().status
            except (OSError, http.client.HTTPException):
                return 0


def _in_letters(number: int) -> str:
    letters = ""
    while number or not letters:
        number, remainder = divmod(number, 26)
        letters += "abcdefghijklmnopqrstuvwxyz"[remainder]
    return letters
