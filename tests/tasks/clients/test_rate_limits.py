"""The limits of requests a minute, which PostgreSQL counts."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import requests
from django.db import connection
from django.db.models.functions import Now

from tasks.clients.exceptions import RateLimited
from tasks.clients.rate_limits import MAX_RATE_LIMIT, Usage, address_key, count
from tasks.models import RateLimit
from tests.conftest import StartService
from tests.service import ANSWER_SECONDS, Service

pytestmark = pytest.mark.django_db

CONNECTIONS = 16
SECONDS_EACH = 1.2
KEY = "address:192.0.2.7"


def passes(limit: int, key: str = KEY) -> bool:
    try:
        count(key, limit)
    except RateLimited:
        return False
    return True


@pytest.mark.parametrize("limit", [1, 2, 7, 13, 50, 59, 60, 61, 999])
def test_exactly_the_limit_passes_at_once(limit: int) -> None:
    # So many more would need a second, with the highest limit.
    extra = [passes(limit) for _ in range(limit + 10)][limit:]
    assert RateLimit.objects.count() == 1
    # One more may have become due meanwhile.
    assert sum(extra) <= 1 + limit // 60


def test_the_highest_limit_is_counted() -> None:
    assert passes(MAX_RATE_LIMIT)


def advance(seconds: float) -> None:
    """Let time pass, as far as the limits are concerned."""
    for held in RateLimit.objects.all():
        held.arrival_at -= timedelta(seconds=seconds)
        held.save()


def test_after_a_spacing_one_more_passes() -> None:
    assert [passes(2) for _ in range(3)] == [True, True, False]
    advance(30)
    assert [passes(2) for _ in range(2)] == [True, False]


def test_after_a_minute_all_pass_again() -> None:
    assert [passes(3) for _ in range(4)] == [True, True, True, False]
    advance(60)
    assert [passes(3) for _ in range(4)] == [True, True, True, False]


def test_a_long_pause_saves_no_more_than_a_minute() -> None:
    passes(3)
    advance(100_000)
    assert [passes(3) for _ in range(4)] == [True, True, True, False]


def test_a_refused_request_does_not_count() -> None:
    assert [passes(1) for _ in range(9)] == [True] + [False] * 8
    advance(60)
    assert passes(1)


def test_a_refusal_says_when_to_come_back() -> None:
    count(KEY, 2)
    count(KEY, 2)
    with pytest.raises(RateLimited) as refused:
        count(KEY, 2)
    assert refused.value.retry_after_seconds == 30
    advance(29.5)
    with pytest.raises(RateLimited) as refused:
        count(KEY, 2)
    assert refused.value.retry_after_seconds == 1


def test_a_row_whose_time_is_past_means_the_same_as_none() -> None:
    RateLimit.objects.create(
        key=KEY, arrival_at=Now(), spacing=timedelta(seconds=60), is_allowed=False
    )
    assert [passes(2) for _ in range(3)] == [True, True, False]


def test_the_table_is_not_logged() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = 'rate_limits'")
        assert cursor.fetchone() == ("u",)


@pytest.mark.parametrize(
    ("usage", "remaining"),
    [
        (Usage(50, True, 1.2), 49),
        (Usage(50, True, 60), 0),
        (Usage(50, False, 60.5), 0),
        (Usage(1, True, 60), 0),
        (Usage(1, True, 0), 1),
        # The clock of the answer is a moment later than that of the count.
        (Usage(50, True, -1), 50),
    ],
)
def test_what_is_left_is_a_whole_number_within_the_limit(usage: Usage, remaining: int) -> None:
    assert usage.remaining == remaining


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "address:192.0.2.7"),
        ("::ffff:192.0.2.7", "address:192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "address:2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "address:2001:db8:1:3::/64"),
        ("", "address:"),
    ],
)
def test_an_address_shares_its_limit_with_its_network(address: str, key: str) -> None:
    assert address_key(address) == key


# Over processes


def hammer(service: Service, headers: dict[str, str], seconds: float) -> tuple[list[int], float]:
    """Send requests over many connections; return the statuses, and how long it took."""
    started = time.monotonic()

    def one_connection(_: int) -> list[int]:
        statuses = []
        with requests.Session() as session:
            while time.monotonic() < started + seconds:
                answer = session.get(
                    f"{service.url}/client", headers=headers, timeout=ANSWER_SECONDS
                )
                statuses.append(answer.status_code)
        return statuses

    with ThreadPoolExecutor(CONNECTIONS) as executor:
        parts = list(executor.map(one_connection, range(CONNECTIONS)))
    return [status for part in parts for status in part], time.monotonic() - started


@pytest.mark.alone
def test_a_limit_is_exact_over_processes(start_service: StartService, new_key: str) -> None:
    service = start_service(RATE_LIMIT=50, WORKERS=4, ENABLE_REFLEX_INTEGRATION=False)
    service.get("/ready")
    statuses, seconds = hammer(service, {"Authorization": f"Bearer {new_key}"}, 5)
    passed = statuses.count(200)
    assert set(statuses) == {200, 429}
    assert len(statuses) > 200
    assert 50 + int(4.5 / SECONDS_EACH) <= passed <= 50 + int(seconds / SECONDS_EACH) + 1


def test_probes_and_the_console_are_not_limited(start_service: StartService) -> None:
    service = start_service(RATE_LIMIT=1, WORKERS=1, ENABLE_REFLEX_INTEGRATION=False)
    assert [service.submit().status_code for _ in range(2)] == [200, 429]
    for path in ("/health", "/ready", "/metrics", "/admin/login/", "/", "/docs", "/schema"):
        assert [service.get(path).status_code for _ in range(3)] == [200] * 3
