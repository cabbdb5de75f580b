"""The keys of an issuer as this process has them, and when they are fetched anew.

A fetch begins when a token comes whose key is unknown, or when the keys are old. So a process that
sees no tokens asks nobody. While the issuer is down, tokens wait for nothing.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from jwt import PyJWK
from prometheus_client import Counter

from tasks.clients.exceptions import CredentialsRefused, KeysUnavailable
from tasks.clients.tokens.issuer import FETCH_SECONDS, FetchFailed
from tasks.clients.tokens.key_set import Keys

# From one fetch that works to the next one.
REFRESH_SECONDS: Final = 600
# From the start of any fetch to the start of the next one.
APART_SECONDS: Final = 10
# How long keys are good when no fetch works.
KEEP_SECONDS: Final = 86_400
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
    """Keys, and when the fetch began that brought them."""

    keys: Keys
    at: float


class _Fetch(NamedTuple):
    """A running fetch."""

    began_at: float
    ended: threading.Event


class KeyRing:
    """Finds the key of a token; safe to share between threads.

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
        self._held = _Held({}, -math.inf)
        self._running: _Fetch | None = None
        self._has_failed = False
        self._next_at = -math.inf

    def find(self, kid: str, algorithm: str) -> PyJWK:
        """Return the key of a token.

        Raises:
            CredentialsRefused: the issuer has no such key.
            KeysUnavailable: whether it has one cannot be found out now.
        """
        key = self._known(kid, algorithm)
        if key is None or self._clock() >= self._held.at + REFRESH_SECONDS:
            self._refresh()
            key = self._known(kid, algorithm)
        if key is not None:
            return key
        with self._lock:
            if self._running is not None or self._has_failed:
                raise KeysUnavailable(max(1, math.ceil(self._next_at - self._clock())))
        raise CredentialsRefused(UNKNOWN_KEY)

    def begin_fetch(self) -> None:
        """Fetch the keys in another thread, unless one does or has begun to only just now."""
        with self._lock:
            began_at = self._clock()
            if self._running is not None or began_at < self._next_at:
                return
            running = _Fetch(began_at, threading.Event())
            # A daemon thread, so that the process can exit without waiting for the issuer. A thread
            # at all, because DNS may take longer than any deadline.
            threading.Thread(
                target=self._fetch, args=[running], name=FETCH_THREAD, daemon=True
            ).start()
            self._running = running
            self._next_at = began_at + APART_SECONDS

    def _known(self, kid: str, algorithm: str) -> PyJWK | None:
        held = self._held
        is_good = self._clock() < held.at + KEEP_SECONDS
        return held.keys.get((kid, algorithm)) if is_good else None

    def _refresh(self) -> None:
        """Begin a fetch if it is time for one, and wait for the end of the running one.

        After a fetch that failed, nobody waits: an issuer that is down holds no requests back.
        """
        self.begin_fetch()
        with self._lock:
            running = None if self._has_failed else self._running
        if running is not None:
            running.ended.wait(max(0, running.began_at + FETCH_SECONDS - self._clock()))

    def _fetch(self, running: _Fetch) -> None:
        keys, wait_seconds = self._ask()
        with self._lock:
            if keys is not None:
                self._held = _Held(keys, running.began_at)
            self._has_failed = keys is None
            self._next_at = max(self._next_at, self._clock() + wait_seconds)
            self._running = None
        running.ended.set()

    def _ask(self) -> tuple[Keys | None, int]:
        """Return the keys, None if they cannot be fetched; and for how long to ask no more."""
        try:
            keys = self._fetch_keys()
        except FetchFailed as failure:
            _FAILED.inc()
            logger.warning(
                "The keys of the issuer cannot be fetched", extra={"reason": failure.reason}
            )
            return None, failure.wait_seconds
        except Exception:
            # Otherwise the thread would end, and no fetch would ever begin again.
            _FAILED.inc()
            logger.exception("The keys of the issuer cannot be fetched")
            return None, 0
        _WORKED.inc()
        self._tell_changes(keys)
        return keys, 0

    def _tell_changes(self, keys: Mapping[tuple[str, str], PyJWK]) -> None:
        if not keys:
            logger.warning("The key set of the issuer has no key that can be used")
        elif not self._held.keys:
            logger.info("Fetched the keys of the issuer", extra={"keys": len(keys)})
        elif keys.keys() != self._held.keys.keys():
            logger.info("The keys of the issuer have changed", extra={"keys": len(keys)})
