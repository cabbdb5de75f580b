"""What a request may take: a place among those under way, and time of the database."""

import threading
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware

from orchestrator_site.database.waiting import database_allowance
from orchestrator_site.endpoints import PROBES
from orchestrator_site.exceptions import OVERLOADED, to_response

GetResponse = Callable[[HttpRequest], HttpResponseBase]

# Of each process' threads, these many are left for the probes and for refusing.
SPARE_THREADS = 2
WAIT_FOR_PLACE_SECONDS = 0.25


class AllowedHostsMiddleware(CommonMiddleware):
    """Django's common middleware, except that probes are answered under any Host."""

    def process_request(self, request: HttpRequest) -> None:
        """Refuse what was meant for another host."""
        if request.path_info not in PROBES:
            request.get_host()


class Places:
    """The places of the requests under way in this process.

    While requests come and go, one that finds all places taken waits a moment for the
    next that is given back: the kernel spreads connections over the processes unevenly.
    Once a wait was in vain, requests are refused at once until a place is given back, so
    that nothing queues behind what hangs.
    """

    def __init__(self, count: int) -> None:
        self._free = threading.BoundedSemaphore(count)
        self._is_stalled = False

    def take(self) -> bool:
        """Take a place; return whether there was one."""
        if self._free.acquire(blocking=False):
            return True
        if self._is_stalled:
            return False
        taken = self._free.acquire(timeout=WAIT_FOR_PLACE_SECONDS)
        self._is_stalled = not taken
        return taken

    def give_back(self) -> None:
        self._is_stalled = False
        self._free.release()


class ConcurrencyMiddleware:
    """Refuses what comes on top of `THREADS` - 2 requests of this process.

    Were all threads at work, requests would queue unseen, those to `/health` among them.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.places = Places(settings.THREADS - SPARE_THREADS)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info in PROBES:
            return self.get_response(request)
        if not self.places.take():
            return to_response(request, OVERLOADED)
        try:
            return self.get_response(request)
        finally:
            self.places.give_back()


class DatabaseAllowanceMiddleware:
    """Bounds how long the request waits for the database in all."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with database_allowance(settings.DATABASE_TIMEOUT_SECONDS):
            return self.get_response(request)
