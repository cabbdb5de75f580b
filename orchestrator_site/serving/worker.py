"""gunicorn's threaded worker, made to share the load, to wait for no client, to lose nothing.

Each fault that is repaired here was seen with the version of gunicorn that is pinned. With a newer
one, tests/orchestrator_site/serving/test_worker.py on its own `gthread` says what is still needed.
"""

import contextlib
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

logger = logging.getLogger(__name__)

# Of a process, idle ones included; a new one takes the place of the longest idle.
MAX_CONNECTIONS: Final = 1000
# An idle process takes a new connection in less; after it, none was idle.
LEFT_TO_OTHERS_SECONDS: Final = 0.001
# How long a client may take to close a connection after the last answer on it.
CLOSING_SECONDS: Final = 2.0
# The same while it goes on to send a body that was refused.
SENDING_SECONDS: Final = 10.0
READ_AWAY_BYTES: Final = 65_536
# For how long a process that is short of files accepts nothing, and how many connections it
# closes to have some again.
SHORT_OF_FILES_SECONDS: Final = 0.1
FILES_TO_FREE: Final = 16
# Without a shortage for so long, the next one is worth a line in the log.
CALM_SECONDS: Final = 10.0


class Worker(ThreadWorker):  # type: ignore[misc]
    """Repairs what gunicorn's own worker does not do well.

    Sharing: all processes wait at one socket, and whichever wakes first would take everything
    that has arrived. Connections are kept, so it would go on with all the work while others
    have none. Here a worker accepts at once while it has nothing to do, else a moment later.

    Queueing: what it has accepted waits for a thread, in a queue as long as the connections
    are many. Here each request learns how long it did, so that it can be refused
    (`orchestrator_site.serving.limits`). A connection on which nothing has been sent takes no
    thread.

    Room: a worker with as many connections as it may have, or as it has files for, would keep
    new clients out until old ones leave, or end itself. Here a new connection takes the place
    of the one that has been idle for longest.

    Closing: the client has to close a connection after its last answer, so that the kernel
    does not cut the answer short. gunicorn waits for that in the loop that accepts and hands
    out all connections: a round trip in which nobody is served, or two seconds if the client
    does not close. Here the loop goes on meanwhile, for longer while the client still sends.

    Stopping: gunicorn finishes what the worker has accepted. What only the kernel has
    accepted, requests that were sent whole among them, ends with the listening socket; and
    for a connection on which nobody ever asked for anything it waits half a minute. Here the
    former is answered, and the latter gets as long as one that is kept. The same holds when
    the master is gone, where gunicorn would go on to listen for half a minute.

    Signals: one that comes between the fork and the worker's own handlers ends in a copy of
    the master's queue, where gunicorn does not look. The worker would go on, and in the end be
    killed with all its requests. Here it looks.

    Attributes:
        signals: that copy.
    """

    signals: "queue.SimpleQueue[int] | None" = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._accepts_again_at = 0.0
        self._has_files_at = -CALM_SECONDS
        self._files_to_free = 0
        # gunicorn would end every connection with its answer once so many are idle.
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
            # Short of files or memory, or the network failed; the client goes on to wait.
            if now >= self._has_files_at + CALM_SECONDS:
                logger.warning("Connection not accepted", extra={"reason": error.strerror})
            self._has_files_at = now + SHORT_OF_FILES_SECONDS
            self._files_to_free = FILES_TO_FREE
        self._accepts_again_at = now + LEFT_TO_OTHERS_SECONDS
        if self.alive:
            self.set_accept_enabled(True)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or pause to accept; a worker that stops accepts what waits, and no more."""
        # Looked at once: the order to stop may come at any moment.
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
        """How long it leaves new connections to others, or has no files for them."""
        now = time.monotonic()
        left_to_others = self._accepts_again_at - now if self._is_busy else 0.0
        return max(0.0, left_to_others, self._has_files_at - now)

    def is_parent_alive(self) -> bool:
        """Return whether the master lives; without it, stop as if it had said so."""
        if super().is_parent_alive():
            return True
        self.alive = False
        return False

    def enqueue_req(self, conn: Any) -> None:
        """Have a thread answer the request, once there is one: a thread would wait for it."""
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
        """Answer the request; a body that is refused unread takes its connection with it."""
        reader = req.body.reader
        if not isinstance(reader, LengthReader) or reader.length > settings.MAX_BODY_BYTES:
            req.force_close()
            # gunicorn would ask for the body before it knows the answer.
            req._expected_100_continue = False
        return super().handle_request(req, conn)

    def finish_request(self, conn: Any, fs: "Future[Any]") -> None:
        """Keep the connection for a next request, or see it closed."""
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
        """Close what has waited for too long; called at every turn of the loop."""
        super().murder_pending()
        while self._closing and (conn := next(iter(self._closing))).timeout < time.monotonic():
            self._end_closing(conn)
        # Here, since no event of what is closed is still to be dispatched.
        while self._lacks_room and self._close_longest_idle():
            self._files_to_free -= 1
        self._files_to_free = 0

    @property
    def _lacks_room(self) -> bool:
        return self.nr_conns >= self.worker_connections or self._files_to_free > 0

    @property
    def _is_busy(self) -> bool:
        """Whether any of its connections has a request in the queue or in a thread."""
        waiting = len(self.keepalived_conns) + len(self.pending_conns) + len(self._closing)
        return bool(self.nr_conns > waiting)

    def _accept_for_the_last_time(self) -> None:
        for listener in self.sockets:
            accepted = -1
            while accepted != self.nr_conns:
                accepted = self.nr_conns
                self.accept(listener)
            # From here on clients are refused, and know that nothing was sent.
            listener.close()
        self.sockets: list[socket.socket] = []
        # On these nobody has asked for anything since they were made.
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)

    def _wait_for_request(self, conn: Any) -> None:
        conn.sock.setblocking(False)
        conn.set_timeout()
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _close_longest_idle(self) -> bool:
        """Close the connection that has been of no use for longest; return whether one was."""
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
        # It may not be registered, where that failed.
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
