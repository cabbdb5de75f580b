"""The limits of a request: the size of its body, a slot in the process, time for the database."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.urls import Resolver404, resolve

from orchestrator_site.database.waiting import database_allowance
from orchestrator_site.observability.endpoints import CONSOLE, HEALTH, METHODS, PROBES
from orchestrator_site.problems import (
    LENGTH_REQUIRED,
    OVERLOADED,
    TOO_LARGE,
    UNKNOWN_METHOD,
    Problem,
    to_response,
)
from orchestrator_site.serving.queueing import (
    CONSOLE_SLOTS,
    CONSOLE_WAITING,
    SPARE_THREADS,
    queued_seconds,
)

GetResponse = Callable[[HttpRequest], HttpResponseBase]

# The longest wait for a thread and a slot together.
MAX_WAIT_SECONDS = 0.5
# Staff prefer a wait to an error page, and hashing the password makes a sign-in slow on purpose.
CONSOLE_WAIT_SECONDS = 3.0


class AdmissionMiddleware(CommonMiddleware):
    """Django's common middleware, with our own rules for admitting requests.

    It refuses, before anything reads the body:

    - an unknown Host, except for probes;
    - an unknown method, because its name would become a label of django-prometheus' metrics;
    - a body that is too large or of unknown length. The worker then closes the connection, since
      the body is still to come. The requests of clients are refused by their view, which first
      looks at the key.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:  # type: ignore[override]
        if request.method not in METHODS:
            return to_response(request, UNKNOWN_METHOD)
        if problem := _body_problem(request):
            if not _view_checks_body_size(request.path_info):
                return to_response(request, problem)
            request.refused_body = problem  # type: ignore[attr-defined]
        if request.path_info not in PROBES:
            request.get_host()
        return None

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Set Content-Length; a response to HEAD has the length of the omitted body."""
        response = super().process_response(request, response)
        if request.method == "HEAD" and isinstance(response, HttpResponse):
            response.content = b""
        return response


def _body_problem(request: HttpRequest) -> Problem | None:
    if "HTTP_TRANSFER_ENCODING" in request.META:
        return LENGTH_REQUIRED
    if int(request.META.get("CONTENT_LENGTH") or 0) > settings.MAX_BODY_BYTES:
        return TOO_LARGE
    return None


def _view_checks_body_size(path: str) -> bool:
    try:
        view = resolve(path).func
    except Resolver404:
        return False
    return getattr(getattr(view, "cls", None), "checks_body_size", False)


class Slots:
    """Slots for the requests that this process works on.

    A request that finds no free slot waits a moment for one, since the kernel spreads connections
    over the processes unevenly. The request that has waited longest gets the next slot; without
    that order, the thread that gives a slot back would mostly take it again.

    When no slot was given back for as long as a request may wait, requests are refused at once,
    so that nothing queues behind requests that hang.

    Args:
        count: how many slots there are.
        patience_seconds: the longest that a request may wait.
        max_waiting: how many requests may wait at a time; each holds a thread.
    """

    def __init__(
        self,
        count: int,
        *,
        patience_seconds: float = MAX_WAIT_SECONDS,
        max_waiting: float = math.inf,
    ) -> None:
        self._lock = threading.Lock()
        self._free = count
        self._patience_seconds = patience_seconds
        self._max_waiting = max_waiting
        self._moved_at = time.monotonic()
        self._waiting: deque[threading.Event] = deque()

    def take(self, within_seconds: float) -> bool:
        """Take a slot; return whether there was one."""
        with self._lock:
            now = time.monotonic()
            if self._free:
                self._free -= 1
                self._moved_at = now
                return True
            within_seconds = min(within_seconds, self._moved_at + self._patience_seconds - now)
            if within_seconds <= 0 or len(self._waiting) >= self._max_waiting:
                return False
            turn = threading.Event()
            self._waiting.append(turn)
        turn.wait(within_seconds)
        with self._lock:
            # Checked under the lock: the slot may have arrived at the last moment.
            if not turn.is_set():
                self._waiting.remove(turn)
            return turn.is_set()

    def give_back(self) -> None:
        with self._lock:
            self._moved_at = time.monotonic()
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1


class ConcurrencyMiddleware:
    """Refuses requests to the API beyond `THREADS` - 2 in this process.

    If all threads were busy, even requests to `/health` would queue. So some threads are spare:
    `/ready` and `/metrics`, which may wait for other services, use all but one of them, and
    `/health` uses any. A request that has queued for too long is refused without a wait for a slot,
    so that the queue gets short again.

    The console has slots of its own, and extra threads for all requests that it admits. So console
    and API never take threads from each other.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.slots = Slots(settings.THREADS - SPARE_THREADS)
        self.probe_slots = Slots(SPARE_THREADS - 1)
        self.console_slots = Slots(
            CONSOLE_SLOTS, patience_seconds=CONSOLE_WAIT_SECONDS, max_waiting=CONSOLE_WAITING
        )

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info == HEALTH:
            return self.get_response(request)
        if request.path_info in PROBES:
            slots, within_seconds = self.probe_slots, MAX_WAIT_SECONDS
        elif request.path_info.startswith(CONSOLE):
            slots, within_seconds = self.console_slots, CONSOLE_WAIT_SECONDS
        else:
            slots, within_seconds = self.slots, MAX_WAIT_SECONDS - queued_seconds.get()
        if within_seconds < 0 or not slots.take(within_seconds):
            return to_response(request, OVERLOADED)
        try:
            return self.get_response(request)
        finally:
            slots.give_back()


class DatabaseAllowanceMiddleware:
    """Limits how long a request waits for the database in total."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with database_allowance(settings.DATABASE_TIMEOUT_SECONDS):
            return self.get_response(request)
