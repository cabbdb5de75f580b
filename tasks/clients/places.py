"""The largest number of pending tasks that a client may have."""

import contextlib
from collections.abc import Iterator
from uuid import UUID

from django.db import connection, transaction

from tasks.clients.exceptions import TooManyPending
from tasks.models import Client
from tasks.states import Status


def check_place(client_id: UUID, max_pending: int) -> None:
    """Refuse a further task if the client has `max_pending` pending ones.

    Raises:
        TooManyPending
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*) FROM (
                SELECT FROM tasks WHERE client_id = %s AND status = %s LIMIT %s
            ) AS pending
            """,
            [client_id, Status.PENDING.value, max_pending],
        )
        [pending] = cursor.fetchone()
    if pending >= max_pending:
        raise TooManyPending(max_pending)


@contextlib.contextmanager
def place_held(client_id: UUID, max_pending: int) -> Iterator[None]:
    """Run the block in a transaction in which no other request takes a place of the client.

    Raises:
        TooManyPending: there is no place.
    """
    with transaction.atomic():
        # The next statement has a snapshot of its own, and so sees what was stored meanwhile.
        Client.objects.select_for_update(no_key=True).only("pk").get(pk=client_id)
        check_place(client_id, max_pending)
        yield
