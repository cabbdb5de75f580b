"""The limits of signing in to the console, its record, and the end of sessions."""

import json
import logging
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpResponse
from django.test import Client as Browser
from django.utils import timezone

from orchestrator_site.console.signing_in import (
    BROWSER_COOKIE,
    BROWSER_COOKIE_LASTS,
    FROM_ADDRESS,
    FROM_ADDRESS_UNDER_NAME,
    FROM_KNOWN_BROWSER,
    MAX_NAMES,
)
from tasks.models import SignIn
from tasks.models.rate_limit import RateLimit

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"
PASSWORD, WRONG = "a-password-for-the-tests", "another-password"
# Somebody may type it into the wrong field.
SECRET = "correct horse battery staple"
SESSION_LASTS = timedelta(hours=12)


@pytest.fixture
def browser() -> Browser:
    return new_browser()


@pytest.fixture(autouse=True)
def ada() -> User:
    return User.objects.create_user("ada", password=PASSWORD, is_staff=True)


def new_browser(address: str = "192.0.2.1") -> Browser:
    return Browser(REMOTE_ADDR=address, raise_request_exception=False)


def attempt(browser: Browser, name: str = "ada", password: str = WRONG) -> HttpResponse:
    return browser.post(LOGIN, {"username": name, "password": password})


def sign_in(browser: Browser, name: str = "ada") -> HttpResponse:
    response = attempt(browser, name, PASSWORD)
    assert response.status_code == 302
    return response


def statuses(count: int, *, address: str = "192.0.2.1", **how: str) -> list[int]:
    """Try so often, each time from a new browser."""
    return [attempt(new_browser(address), **how).status_code for _ in range(count)]


def change_password(browser: Browser) -> HttpResponse:
    """Change the session, and so have it stored again."""
    new = {"new_password1": SECRET, "new_password2": SECRET}
    return browser.post("/admin/password_change/", {"old_password": PASSWORD} | new)


def is_signed_in(browser: Browser) -> bool:
    return bool(browser.get("/admin/").status_code == 200)


def wait(seconds: float) -> None:
    """Let time pass for the limits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE rate_limits SET arrival_at = arrival_at - make_interval(secs => %s)", [seconds]
        )


def test_sixth_try_of_a_name_in_a_minute_is_refused() -> None:
    assert statuses(6) == [200] * 5 + [429]


def test_refusal_says_when_to_try_again(browser: Browser) -> None:
    statuses(FROM_ADDRESS_UNDER_NAME)
    response = attempt(browser)
    assert response["Retry-After"] == "12"
    assert "Too many requests. Try again in 12 s." in response.content.decode()


def test_next_try_passes_after_the_time_that_the_refusal_says(browser: Browser) -> None:
    statuses(FROM_ADDRESS_UNDER_NAME)
    wait(int(attempt(browser)["Retry-After"]))
    assert attempt(browser).status_code == 200


def test_other_names_from_the_address_are_not_refused() -> None:
    statuses(FROM_ADDRESS_UNDER_NAME + 1)
    assert statuses(1, name="eve") == [200]


def test_other_addresses_are_not_refused() -> None:
    statuses(FROM_ADDRESS_UNDER_NAME + 1)
    assert statuses(1, address="192.0.2.2") == [200]


def test_thirty_first_try_from_an_address_in_a_minute_is_refused() -> None:
    names = [f"name-{number // 5}" for number in range(31)]
    tries = [statuses(1, name=name) for name in names]
    assert tries == [[200]] * 30 + [[429]]


def test_addresses_of_one_ipv6_network_share_a_limit() -> None:
    tries = [statuses(1, address=f"2001:db8::{number}") for number in range(6)]
    assert tries == [[200]] * 5 + [[429]]


@pytest.mark.parametrize("written", ["ada", " ada ", "\uff41da", "a\uff44\u1d43"])
def test_ways_to_write_a_name_share_its_limit(written: str) -> None:
    statuses(FROM_ADDRESS_UNDER_NAME)
    assert statuses(1, name=written) == [429]


def test_right_password_beyond_the_limit_is_refused(browser: Browser) -> None:
    statuses(FROM_ADDRESS_UNDER_NAME)
    assert attempt(browser, password=PASSWORD).status_code == 429
    assert not is_signed_in(browser)


def test_opening_the_form_counts_as_no_try(browser: Browser) -> None:
    for _ in range(FROM_ADDRESS + 1):
        assert browser.get(LOGIN).status_code == 200
    assert not RateLimit.objects.exists()


def answer(browser: Browser, name: str) -> tuple[int, dict[str, str], str]:
    """Return all of an answer but the name and what differs between any two answers."""
    response = attempt(browser, name)
    headers = {
        header: value
        for header, value in response.headers.items()
        if header not in ("X-Request-ID", "Expires")
    }
    body = re.sub(r'value="\w{64}"', 'value="csrf"', response.content.decode())
    return response.status_code, headers, body.replace(f'value="{name}"', 'value="name"')


def test_answers_to_unknown_and_known_names_are_the_same() -> None:
    User.objects.create_user("off", password=PASSWORD, is_staff=True, is_active=False)
    User.objects.create_user("ext", password=PASSWORD)
    for _ in range(FROM_ADDRESS_UNDER_NAME + 1):
        first, *others = [answer(new_browser(), name) for name in ("ada", "xyz", "off", "ext")]
        assert others == [first] * 3


@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_failure_sets_no_cookie_of_a_known_browser(name: str, browser: Browser) -> None:
    assert BROWSER_COOKIE not in attempt(browser, name).cookies


def test_known_browser_is_let_in_when_others_have_used_up_the_limits(browser: Browser) -> None:
    sign_in(browser)
    browser.post("/admin/logout/")
    statuses(FROM_ADDRESS_UNDER_NAME)
    for number in range(FROM_ADDRESS):
        statuses(1, name=f"name-{number}")
    assert statuses(1) == [429]
    sign_in(browser)


def test_known_browser_has_limits_of_its_own(browser: Browser) -> None:
    sign_in(browser)
    tries = [attempt(browser).status_code for _ in range(FROM_KNOWN_BROWSER + 1)]
    assert tries == [200] * FROM_KNOWN_BROWSER + [429]


def test_known_browser_is_known_under_its_names_only(browser: Browser) -> None:
    User.objects.create_user("eve", password=PASSWORD, is_staff=True)
    sign_in(browser)
    statuses(FROM_ADDRESS_UNDER_NAME, name="eve")
    assert attempt(browser, "eve", PASSWORD).status_code == 429


def test_browser_remembers_the_last_names(browser: Browser) -> None:
    names = [f"name-{number}" for number in range(MAX_NAMES + 1)]
    for name in names:
        User.objects.create_user(name, password=PASSWORD, is_staff=True)
        sign_in(browser, name)
    for name in names:
        statuses(FROM_ADDRESS_UNDER_NAME, name=name)
    assert attempt(browser, names[0], PASSWORD).status_code == 429
    for name in names[1:]:
        sign_in(browser, name)


@pytest.mark.parametrize(
    "forged",
    ["", ":", "x", "a:b", "\0", "é", "W10:x", "eyJhIjoxfQ:eyJhIjoxfQ", "x" * 4000, '"', "{}:"],
)
def test_forged_cookie_is_ignored(forged: str, browser: Browser) -> None:
    statuses(FROM_ADDRESS_UNDER_NAME)
    browser.cookies[BROWSER_COOKIE] = forged
    assert attempt(browser).status_code == 429
    assert attempt(browser, "nobody").status_code == 200


def test_changed_cookie_is_ignored(browser: Browser) -> None:
    sign_in(browser)
    browser.cookies[BROWSER_COOKIE] = browser.cookies[BROWSER_COOKIE].value[:-1]
    statuses(FROM_ADDRESS_UNDER_NAME)
    assert attempt(browser).status_code == 429


@pytest.mark.parametrize("is_https", [True, False])
def test_cookie_of_a_known_browser_is_for_the_server_only(
    is_https: bool, browser: Browser, settings: Any
) -> None:
    settings.HTTPS = is_https
    cookie = sign_in(browser).cookies[BROWSER_COOKIE]
    assert cookie["max-age"] == BROWSER_COOKIE_LASTS.total_seconds()
    assert {name: cookie[name] for name in ("path", "httponly", "samesite", "secure")} == {
        "path": "/admin/",
        "httponly": True,
        "samesite": "Lax",
        "secure": True if is_https else "",
    }
    assert "ada" not in cookie.value


@pytest.mark.parametrize(
    "name", ["", " ", "\0", "a\0da", "ada\0", "x" * 151, "x" * 300_000, "\u202e", "\U0001f600"]
)
def test_name_that_no_account_can_have_is_a_failure(name: str, browser: Browser) -> None:
    assert attempt(browser, name).status_code == 200
    assert list(SignIn.objects.values_list("account", "outcome")) == [("", "failed")]


@pytest.mark.parametrize("charset", ["utf-7", "raw_unicode_escape", "hex", "utf-16", "no-such"])
def test_charset_of_a_form_is_ignored(charset: str, browser: Browser) -> None:
    part = '--B\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    # In UTF-7 and with Python's escapes, this is half of a pair.
    body = part.format("username", "+2AA-\\ud800") + part.format("password", "x") + "--B--\r\n"
    content_type = f"multipart/form-data; boundary=B; charset={charset}"
    response = browser.generic("POST", LOGIN, body.encode(), content_type)
    assert response.status_code == 200
    assert 'value="+2AA-\\ud800"' in response.content.decode()


@pytest.mark.parametrize("body", [{}, {"username": "ada"}, {"password": "x"}])
def test_incomplete_form_is_a_failure(body: dict[str, str], browser: Browser) -> None:
    assert browser.post(LOGIN, body).status_code == 200
    assert SignIn.objects.get().outcome == "failed"


def test_sign_in_is_recorded(browser: Browser) -> None:
    response = sign_in(browser)
    recorded = SignIn.objects.values("account", "outcome", "client_address", "request_id").get()
    assert recorded == {
        "account": "ada",
        "outcome": "succeeded",
        "client_address": "192.0.2.1",
        "request_id": response["X-Request-ID"],
    }


@pytest.mark.parametrize("written", ["ada", " ada ", "\uff41da"])
def test_failure_is_recorded_with_the_account(written: str, browser: Browser) -> None:
    attempt(browser, written)
    assert list(SignIn.objects.values_list("account", "outcome")) == [("ada", "failed")]


def test_unknown_name_is_stored_nowhere(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        attempt(browser, SECRET)
        attempt(browser, "ada", SECRET)
    stored = [*SignIn.objects.values(), *RateLimit.objects.values(), *Session.objects.values()]
    logged = [vars(record) for record in caplog.records]
    assert SignIn.objects.count() == 2
    assert RateLimit.objects.exists()
    assert SECRET not in json.dumps([stored, logged], default=str)


def test_try_beyond_the_limit_is_no_sign_in(browser: Browser) -> None:
    statuses(FROM_ADDRESS_UNDER_NAME)
    attempt(browser, password=PASSWORD)
    assert SignIn.objects.count() == FROM_ADDRESS_UNDER_NAME


@pytest.mark.parametrize(
    ("name", "password", "level", "logged"),
    [
        ("ada", PASSWORD, "INFO", ("succeeded", "ada")),
        ("ada", WRONG, "WARNING", ("failed", "ada")),
        (SECRET, WRONG, "WARNING", ("failed", "")),
    ],
)
def test_sign_in_is_logged(
    name: str,
    password: str,
    level: str,
    logged: tuple[str, str],
    browser: Browser,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        attempt(browser, name, password)
    [line] = [vars(record) for record in caplog.records if "Sign-in" in record.message]
    assert line["levelname"] == level
    assert (line["outcome"], line["account"]) == logged
    assert line["client_address"] == "192.0.2.1"


def test_session_ends_12_hours_after_the_sign_in(browser: Browser) -> None:
    before = timezone.now()
    sign_in(browser)
    ends_at = Session.objects.get().expire_date
    assert before <= ends_at - SESSION_LASTS <= timezone.now()


def test_use_of_a_session_does_not_move_its_end(browser: Browser) -> None:
    sign_in(browser)
    ends_at = Session.objects.get().expire_date
    change_password(browser)
    assert is_signed_in(browser)
    assert {*Session.objects.values_list("expire_date", flat=True)} == {ends_at}


def test_cookie_of_a_used_session_ends_with_it(browser: Browser) -> None:
    sign_in(browser)
    session = browser.session
    session["_session_expiry"] = (timezone.now() + timedelta(minutes=10)).isoformat()
    session.save()
    response = change_password(browser)
    assert 590 <= int(response.cookies["sessionid"]["max-age"]) <= 600


def test_session_beyond_its_end_is_over(browser: Browser) -> None:
    sign_in(browser)
    assert is_signed_in(browser)
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert not is_signed_in(browser)
