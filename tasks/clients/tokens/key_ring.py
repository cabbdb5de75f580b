"""The keys of an issuer as this process has them, and when they are fetched again.

A fetch begins when the process starts, and when a token comes whose key is unknown or while the
keys are old. Tokens wait for a running fetch for a few seconds, but only if the one before worked:
an issuer that is down holds no requests back.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from jwt import PyJWK
from prometheus_client import Counter

from tasks.clients.exceptions import CredentialsRefused, IssuerKeysUnavailable
from tasks.clients.tokens.issuer import FETCH_SECONDS, FetchFailed
from tasks.clients.tokens.key_set import Keys

# The age at which keys are old. Their fetch begins a little sooner, so that no token of a busy
# process has to wait for it.
OLD_SECONDS: Final = 600
AHEAD_SECONDS: Final = 60
# From the start of any fetch to the start of the next one.
APART_SECONDS: Final = 10
# How long keys are good when no fetch works.
KEEP_SECONDS: Final = 86_400
# How many tokens with an unknown key wait while other keys are known. Each holds a thread of the
# server, and anybody can make up ids of keys.
MAX_WAITING: Final = 4
FETCH_THREAD: Final = "issuer-keys"
UNKNOWN_KEY: Final = "unknown_key"

FETCHES: Final = Counter(
    "octollm_orchestrator_issuer_fetches_total",
    "Fetches of the keys of the issuer of tokens, by whether they worked",
    ["result"],
)
_WORKED, _FAILED = FETCHES.labels("worked"), FETCHES.labels("failed")

logger = logging.getLogger(__name__)


class _Held(NamedTuple):
    """The keys of the last fetch that worked, and when that fetch began."""

    keys: Keys
    began_at: float


class _Fetch(NamedTuple):
    """A running fetch."""

    began_at: float
    ended: threading.Event


class KeyRing:
    """Finds the key of a token; safe to share between threads.

    Make it after the last fork: a fetch that runs in the parent never ends in the child.

    Args:
        fetch: returns the keys that the issuer has now, or raises `FetchFailed`.
        clock: the time in seconds, from any moment on.
    """

    def __init__(
        self, fetch: Callable[[], Keys], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch_keys = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._places = threading.Semaphore(MAX_WAITING)
        self._held = _Held({}, -math.inf)
        self._running: _Fetch | None = None
        self._has_last_failed = False
        self._next_fetch_at = -math.inf

    def find(self, kid: str, algorithm: str) -> PyJWK:
        """Return the key of a token.

        Raises:
            CredentialsRefused: the issuer has no such key.
            IssuerKeysUnavailable: whether it has one cannot be found out now.
        """
        key = self._known(kid, algorithm)
        if key is not None and self._age < OLD_SECONDS:
            if self._age >= OLD_SECONDS - AHEAD_SECONDS:
                self.begin_fetch()
            return key
        self.begin_fetch()
        self._wait(needs_place=key is None and bool(self._held.keys))
        # Together, because a fetch may end at any moment and bring the key, or take it away.
        with self._lock:
            key = self._known(kid, algorithm)
            if key is not None and (self._age < OLD_SECONDS or self._is_failing):
                return key
            if self._running is not None or self._is_failing:
                raise IssuerKeysUnavailable(self._retry_after_seconds)
        raise CredentialsRefused(UNKNOWN_KEY)

    def begin_fetch(self) -> None:
        """Begin to fetch the keys in another thread, unless a fetch runs or it is too soon."""
        with self._lock:
            began_at = self._clock()
            if self._running is not None or began_at < self._next_fetch_at:
                return
            self._next_fetch_at = began_at + APART_SECONDS
            running = _Fetch(began_at, threading.Event())
            # A daemon thread, so that the process can exit without waiting for the issuer. A thread
            # at all, because DNS may take longer than any deadline.
            thread = threading.Thread(
                target=self._run, args=[running], name=FETCH_THREAD, daemon=True
            )
            try:
                thread.start()
            except RuntimeError:
                self._has_last_failed = True
                _log_failure("no thread is left")
            else:
                self._running = running

    @property
    def _age(self) -> float:
        return self._clock() - self._held.began_at

    @property
    def _is_failing(self) -> bool:
        """Whether the last fetch failed, or the running one should have ended by now."""
        running = self._running
        is_late = running is not None and self._clock() >= running.began_at + FETCH_SECONDS
        return self._has_last_failed or is_late

    @property
    def _retry_after_seconds(self) -> int:
        if self._running is not None and not self._is_failing:
            return 1
        return max(1, math.ceil(self._next_fetch_at - self._clock()))

    def _known(self, kid: str, algorithm: str) -> PyJWK | None:
        held = self._held
        is_good = self._clock() < held.began_at + KEEP_SECONDS
        return held.keys.get((kid, algorithm)) if is_good else None

    def _wait(self, *, needs_place: bool) -> None:
        """Wait for the end of the running fetch, unless it is failing or there is no place."""
        with self._lock:
            running = None if self._is_failing else self._running
        if running is None or (needs_place and not self._places.acquire(blocking=False)):
            return
        try:
            running.ended.wait(max(0, running.began_at + FETCH_SECONDS - self._clock()))
        finally:
            if needs_place:
                self._places.release()

    def _run(self, running: _Fetch) -> None:
        keys, wait_seconds = None, 0
        try:
            keys = self._fetch_keys()
            self._log_success(keys)
        except FetchFailed as failure:
            wait_seconds = failure.retry_after_seconds
            _log_failure(failure.reason)
        except Exception:
            _log_failure("a fault of this service", has_trace=True)
        finally:
            # Whatever happens: while a fetch seems to run, no other one begins.
            with self._lock:
                if keys is not None:
                    self._held = _Held(keys, running.began_at)
                self._has_last_failed = keys is None
                self._next_fetch_at = max(self._next_fetch_at, self._clock() + wait_seconds)
                self._running = None
            running.ended.set()

    def _log_success(self, keys: Keys) -> None:
        _WORKED.inc()
        if not keys:
            logger.warning("The key set of the issuer has no key that can be used")
        elif not self._held.keys:
            logger.info("Fetched the keys of the issuer", extra={"keys": len(keys)})
        elif keys.keys() != self._held.keys.keys():
            logger.info("The keys of the issuer have changed", extra={"keys": len(keys)})


def _log_failure(reason: str, *, has_trace: bool = False) -> None:
    _FAILED.inc()
    logger.log(
        logging.ERROR if has_trace else logging.WARNING,
        "The keys of the issuer cannot be fetched",
        extra={"reason": reason},
        exc_info=has_trace,
    )
