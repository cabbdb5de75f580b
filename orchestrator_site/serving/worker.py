"""gunicorn's threaded worker with fixes for load sharing, slow clients and lost requests.

Each fixed fault was seen with the pinned version of gunicorn. To learn which fixes a newer version
still needs, run tests/orchestrator_site/serving/test_worker.py with its `gthread` worker.
"""

import contextlib
import ctypes
import gc
import heapq
import logging
import queue
import signal
import socket
import time
from concurrent.futures import Future
from functools import partial
from selectors import EVENT_READ
from typing import Any, Final

from gunicorn.http.body import LengthReader
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from orchestrator_site import settings
from orchestrator_site.serving.queueing import queued_seconds

_C_LIBRARY: Final = ctypes.CDLL(None)

logger = logging.getLogger(__name__)

# For each process, idle connections included. A new connection replaces the longest idle one.
MAX_CONNECTIONS: Final = 1000
# A process without work accepts a new connection in less time. After it, all processes are busy.
LEFT_TO_OTHERS_SECONDS: Final = 0.001
# How long a client may take to close a connection after the last response on it.
CLOSING_SECONDS: Final = 2.0
# The same while the client is still sending a body that was refused.
SENDING_SECONDS: Final = 10.0
READ_AWAY_BYTES: Final = 65_536
# From this length of a body on, the memory of a request is freed at once.
LARGE_BODY_BYTES: Final = 32_768
# How long a process that is short of files accepts no connections, and how many connections it
# closes to get files back.
SHORT_OF_FILES_SECONDS: Final = 0.1
FILES_TO_FREE: Final = 16
# A shortage is logged if there was none for this long.
CALM_SECONDS: Final = 10.0


def give_back_memory() -> None:
    """Let the C library return free memory to the system; only glibc keeps it, for each thread."""
    trim = getattr(_C_LIBRARY, "malloc_trim", None)
    if trim is not None:
        trim(0)


class Worker(ThreadWorker):  # type: ignore[misc]
    """Fixes the faults of gunicorn's own worker.

    Load sharing: all processes wait on one listening socket. In gunicorn, the first one to wake
    accepts all new connections. Since connections are kept alive, it then does all the work while
    other processes are idle. Here a worker accepts at once only if it has nothing to do, else a
    moment later.

    Queueing: accepted requests wait for a thread, in a queue that may be as long as there are
    connections. Here each request records how long it waited, so that it can be refused
    (`orchestrator_site.serving.limits`). A connection takes no thread until its client has sent
    something.

    Connections: a gunicorn worker that has reached its limit of connections or files refuses new
    clients until old ones leave, or exits. Here a new connection replaces the longest idle one.

    Closing: after the last response, the client has to close the connection first; otherwise the
    kernel may cut the response short. gunicorn waits for that in its main loop, and serves no other
    connection for a round trip, or for two seconds if the client does not close. Here the loop
    continues in the meantime, and waits longer for a client that is still sending.

    Stopping: gunicorn finishes the requests on connections that the worker has accepted. It drops
    connections that only the kernel has accepted, even if they carry complete requests, and waits
    half a minute for connections without any request. Here the worker answers the former, and
    waits for the latter as long as for kept connections. The same applies when the master has
    died; gunicorn would listen for another half a minute.

    Signals: a signal that arrives between the fork and the installation of the worker's handlers
    ends up in a copy of the master's queue, which gunicorn never reads. The worker would continue
    and finally be killed together with its requests. Here it reads the queue.

    Attributes:
        signals: the worker's copy of the master's queue.
    """

    signals: "queue.SimpleQueue[int] | None" = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._accepts_again_at = 0.0
        self._has_files_at = -CALM_SECONDS
        self._files_to_free = 0
        # With this many idle connections, gunicorn closes every connection after its response.
        self.max_keepalived = self.worker_connections
        # In the order in which they time out.
        self._closing: dict[Any, None] = {}

    def init_signals(self) -> None:
        super().init_signals()
        while self.signals is not None and not self.signals.empty():
            if self.signals.get_nowait() == signal.SIGTERM:
                self.handle_exit(signal.SIGTERM, None)

    def accept(self, listener: socket.socket) -> None:
        now = time.monotonic()
        try:
            super().accept(listener)
        except OSError as error:
            # Files or memory are short, or the network failed. The client keeps waiting.
            if now >= self._has_files_at + CALM_SECONDS:
                logger.warning("Connection not accepted", extra={"reason": error.strerror})
            self._has_files_at = now + SHORT_OF_FILES_SECONDS
            self._files_to_free = FILES_TO_FREE
        self._accepts_again_at = now + LEFT_TO_OTHERS_SECONDS
        if self.alive:
            self.set_accept_enabled(True)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or pause accepting; a stopping worker accepts waiting connections, then no more."""
        # Read once, because a stop signal may arrive at any moment.
        is_alive = self.alive
        super().set_accept_enabled(is_alive and enabled and not self._pause_seconds)
        if not is_alive:
            self._accept_for_the_last_time()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        if self.alive and not self._accepting and self.nr_conns < self.worker_connections:
            timeout = min(timeout, self._pause_seconds)
        super().wait_for_and_dispatch_events(timeout)

    @property
    def _pause_seconds(self) -> float:
        """How long to accept nothing, to leave connections to others or for lack of files."""
        now = time.monotonic()
        left_to_others = self._accepts_again_at - now if self._is_busy else 0.0
        return max(0.0, left_to_others, self._has_files_at - now)

    def is_parent_alive(self) -> bool:
        """Return whether the master lives; if it does not, stop as if it had asked for that."""
        if super().is_parent_alive():
            return True
        self.alive = False
        return False

    def enqueue_req(self, conn: Any) -> None:
        """Queue the request for a thread as soon as the client has sent some of it."""
        if not conn.initialized and not conn.data_ready:
            if not _has_sent(conn.sock):
                self._wait_for_request(conn)
                return
            conn.data_ready = True
        conn.queued_at = time.monotonic()
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        queued_seconds.set(time.monotonic() - conn.queued_at)
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer the request; close the connection after a body that was refused unread.

        DRF's view, request and response refer to each other, so their texts would stay in memory
        until Python's collector runs, a hundred requests later. After a large body it runs at once.
        """
        reader = req.body.reader
        is_large = isinstance(reader, LengthReader) and reader.length > LARGE_BODY_BYTES
        if not isinstance(reader, LengthReader) or reader.length > settings.MAX_BODY_BYTES:
            req.force_close()
            # gunicorn would send 100 Continue, although the body will be refused.
            req._expected_100_continue = False
        try:
            return super().handle_request(req, conn)
        finally:
            if is_large:
                gc.collect()
                give_back_memory()

    def finish_request(self, conn: Any, fs: "Future[Any]") -> None:
        """Keep the connection for the next request, or start to close it."""
        if fs.cancelled() or fs.exception() or fs.result() is not False:
            super().finish_request(conn, fs)
            return
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, EVENT_READ, partial(self._read_away, conn))
        except (OSError, ValueError):
            self._close(conn)
            return
        now = time.monotonic()
        conn.timeout, conn.closes_at = now + CLOSING_SECONDS, now + SENDING_SECONDS
        self._closing[conn] = None

    def murder_pending(self) -> None:
        """Close connections that have waited too long; called at every turn of the loop."""
        super().murder_pending()
        while self._closing and (conn := next(iter(self._closing))).timeout < time.monotonic():
            self._end_closing(conn)
        # At this point of the loop, no event of a closed connection is left to be dispatched.
        while self._lacks_room and self._close_longest_idle():
            self._files_to_free -= 1
        self._files_to_free = 0

    @property
    def _lacks_room(self) -> bool:
        return self.nr_conns >= self.worker_connections or self._files_to_free > 0

    @property
    def _is_busy(self) -> bool:
        """Whether a request is in the queue or in a thread."""
        waiting = len(self.keepalived_conns) + len(self.pending_conns) + len(self._closing)
        return bool(self.nr_conns > waiting)

    def _accept_for_the_last_time(self) -> None:
        for listener in self.sockets:
            accepted = -1
            while accepted != self.nr_conns:
                accepted = self.nr_conns
                self.accept(listener)
            # From here on, the kernel refuses clients before they send anything.
            listener.close()
        self.sockets: list[socket.socket] = []
        # No request has come on these connections.
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)

    def _wait_for_request(self, conn: Any) -> None:
        conn.sock.setblocking(False)
        conn.set_timeout()
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _close_longest_idle(self) -> bool:
        """Close the longest idle connection; return whether there was one."""
        idle = heapq.merge(self.keepalived_conns, self.pending_conns, key=lambda conn: conn.timeout)
        # A connection on which something has arrived is dispatched at the next turn.
        conn = next((conn for conn in idle if not _has_sent(conn.sock)), None)
        if conn is not None:
            is_kept = conn in self.keepalived_conns
            (self.keepalived_conns if is_kept else self.pending_conns).remove(conn)
            self._forget(conn)
        elif self._closing:
            self._end_closing(next(iter(self._closing)))
        else:
            return False
        return True

    def _read_away(self, conn: Any, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if client.recv(READ_AWAY_BYTES):
                if self.alive:
                    del self._closing[conn]
                    conn.timeout = min(time.monotonic() + CLOSING_SECONDS, conn.closes_at)
                    self._closing[conn] = None
                return
        self._end_closing(conn)

    def _end_closing(self, conn: Any) -> None:
        del self._closing[conn]
        self._forget(conn)

    def _forget(self, conn: Any) -> None:
        # It is not registered if registering failed.
        with contextlib.suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()


def _has_sent(client: socket.socket) -> bool:
    """Return whether there is something to read, without reading it."""
    try:
        return bool(client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False
