"""procrastinate's connection to the database, for workers that outlive an absence of it.

An error in its heartbeat, its fetching or its LISTEN would end procrastinate's worker, and that
would wait for the longest running call. Here each statement is repeated until the database is back.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

from procrastinate import connector
from procrastinate.contrib.django.utils import connector_params
from procrastinate.exceptions import ConnectorException
from procrastinate.psycopg_connector import PsycopgConnector
from psycopg import InterfaceError, OperationalError
from psycopg_pool import PoolTimeout

T = TypeVar("T")

AGAIN_SECONDS: Final = 0.5
# Longer than fetching takes.
TWICE_SECONDS: Final = 0.01
SOME_JOB: Final = '{"type": "job_inserted", "job_id": 0}'
# So that the kernel notices a connection whose other end has vanished.
_KEEPALIVE: Final = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

logger = logging.getLogger(__name__)


class PatientConnector(PsycopgConnector):
    """A connector with one connection for statements and one for LISTEN.

    procrastinate forgets a notification that comes while it fetches, so each is delivered twice.

    Attributes:
        reached_at: when a statement last succeeded, by the monotonic clock.
    """

    def __init__(self) -> None:
        super().__init__(kwargs=connector_params() | _KEEPALIVE, min_size=1, max_size=1)
        self.reached_at = time.monotonic()
        self._deliver: Callable[[], object] = lambda: None

    def wake(self) -> None:
        """Let the worker look for jobs at once; safe to call from any thread.

        A worker that has rung a bell need not wait for the notification.
        """
        self._deliver()

    async def execute_query_async(self, query: Any, **arguments: Any) -> None:
        await self._patiently(functools.partial(super().execute_query_async, query, **arguments))

    async def execute_query_one_async(self, query: Any, **arguments: Any) -> dict[str, Any]:
        return await self._patiently(
            functools.partial(super().execute_query_one_async, query, **arguments)
        )

    async def execute_query_all_async(self, query: Any, **arguments: Any) -> list[dict[str, Any]]:
        return await self._patiently(
            functools.partial(super().execute_query_all_async, query, **arguments)
        )

    async def _patiently(self, execute: Callable[[], Awaitable[T]]) -> T:
        """Repeat a statement while there is no connection; other errors are the caller's."""
        is_away = False
        while True:
            try:
                result = await execute()
            except ConnectorException as error:
                if not isinstance(error.__cause__, OperationalError | InterfaceError | PoolTimeout):
                    raise
                if not is_away:
                    logger.warning("No jobs fetched: the database did not answer")
                is_away = True
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self.reached_at = time.monotonic()
                return result

    async def listen_notify(
        self, on_notification: connector.Notify, channels: Iterable[str]
    ) -> None:
        names = [*channels]
        loop = asyncio.get_running_loop()
        deliveries: set[asyncio.Task[None]] = set()

        async def twice(*, channel: str, payload: str) -> None:
            await on_notification(channel=channel, payload=payload)
            await asyncio.sleep(TWICE_SECONDS)
            await on_notification(channel=channel, payload=payload)

        def deliver(channel: str = names[0], payload: str = SOME_JOB) -> None:
            delivery = loop.create_task(twice(channel=channel, payload=payload))
            deliveries.add(delivery)
            delivery.add_done_callback(deliveries.discard)

        async def on_announcement(*, channel: str, payload: str) -> None:
            deliver(channel, payload)

        self._deliver = functools.partial(loop.call_soon_threadsafe, deliver)
        while True:
            try:
                await super().listen_notify(on_announcement, names)
            except ConnectorException:
                await asyncio.sleep(AGAIN_SECONDS)
