"""The largest number of pending tasks of a client, exact over processes."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import requests

from tests.conftest import StartService
from tests.service import ANSWER_SECONDS
from tests.tasks.clients.keys import bearer

AT_ONCE = 24
PLACES = 5


def test_of_many_at_the_same_time_no_more_than_the_places_are_stored(
    start_service: StartService, new_key: str, service_database: "psycopg.Connection[Any]"
) -> None:
    service_database.execute(
        "UPDATE clients SET max_pending = %s FROM api_keys"
        " WHERE clients.id = client_id AND prefix = %s",
        [PLACES, new_key[8:16]],
    )
    service = start_service(WORKERS=4, THREADS=8, ENABLE_REFLEX_INTEGRATION=False)

    def submit(number: int) -> int:
        return requests.post(
            f"{service.url}/submit",
            json={"goal": f"Plan {number}"},
            headers=bearer(new_key),
            timeout=ANSWER_SECONDS,
        ).status_code

    with ThreadPoolExecutor(AT_ONCE) as executor:
        statuses = list(executor.map(submit, range(AT_ONCE)))
    assert statuses.count(200) == PLACES
    # A process that is overloaded may ask a client to come again.
    assert set(statuses) <= {200, 429, 503}
    stored = service_database.execute(
        "SELECT count(*) FROM tasks JOIN api_keys USING (client_id) WHERE prefix = %s",
        [new_key[8:16]],
    ).fetchone()
    assert stored == (PLACES,)
