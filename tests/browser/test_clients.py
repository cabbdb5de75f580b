"""Clients and their keys in a browser."""

from itertools import count
from typing import NamedTuple

import psycopg
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.console import Console

CLIENTS = "/admin/tasks/client/"
NUMBERS = count(1)


@pytest.fixture
def client(console: Console) -> str:
    """The name of a client that an Admin has just added; the browser shows its page."""
    name = f"reports-{next(NUMBERS)}"
    console.sign_in("admin")
    console.link("Clients").click()
    console.find(".addlink").click()
    console.labelled("Name:").send_keys(name)
    console.labelled("Requests a minute:").send_keys("60")
    console.press("Add client")
    console.wait_for(".messagelist", f"Added {name}. Now make its first key.")
    return name


class WithTokens(NamedTuple):
    """A client that an issuer made, with the longest subject, and the paths that show its name."""

    name: str
    paths: list[str]


@pytest.fixture
def with_tokens(database: "psycopg.Connection[tuple[object]]") -> WithTokens:
    subject = f"{next(NUMBERS):W<255}"
    name = f"token:{subject}"
    [ids] = database.execute(
        "WITH client AS ("
        " INSERT INTO clients (id, name, issuer, subject)"
        " VALUES (gen_random_uuid(), %s, 'https://id.example', %s) RETURNING id"
        "), receipt AS ("
        " INSERT INTO receipts (verdict, client_id) SELECT 'blocked', id FROM client RETURNING id"
        "), task AS ("
        " INSERT INTO tasks (goal, client_id) SELECT 'Fit', id FROM client RETURNING id"
        ") SELECT client.id, task.id, receipt.id FROM client, task, receipt",
        [name, subject],
    ).fetchall()
    lists = [CLIENTS, "/admin/tasks/task/", "/admin/safety/receipt/"]
    pages = [f"{path}{of_row}/change/" for path, of_row in zip(lists, ids, strict=True)]
    return WithTokens(name, [*lists, *pages])


def make_key(console: Console) -> str:
    """Make a key, and return it as the browser shows it."""
    console.press("Make a key")
    console.wait_for("h1", "New key")
    return str(console.labelled("Key").get_property("value"))


def test_admin_makes_a_key_and_copies_it(client: str, console: Console) -> None:
    key = make_key(console)
    console.press("Copy")
    console.wait_for("#copied", "Copied.")
    console.link(f"Back to {client}").click()
    console.labelled("Reason:").send_keys(Keys.CONTROL, "v")
    assert console.labelled("Reason:").get_property("value") == key


def test_copy_selects_the_key_where_the_clipboard_is_closed(client: str, console: Console) -> None:
    key = make_key(console)
    # As on a page that came over plain HTTP.
    console.driver.execute_script(
        "Object.defineProperty(navigator, 'clipboard', {value: undefined})"
    )
    console.press("Copy")
    console.wait_for("#copied", "Selected: copy it with Ctrl+C.")
    assert console.driver.execute_script("return getSelection().toString()") == key


def test_key_is_shown_once(client: str, console: Console) -> None:
    key = make_key(console)
    console.link(f"Back to {client}").click()
    console.wait_for("td", f"{key[:16]}…")
    assert key not in console.driver.page_source


def test_list_shows_the_client_with_its_key(client: str, console: Console) -> None:
    make_key(console)
    console.link("Clients").click()
    row = console.wait_for("#result_list tbody tr", client)
    assert row.find_element(By.CSS_SELECTOR, ".field-working_keys").text == "1"
    assert row.find_element(By.CSS_SELECTOR, ".field-requests_a_minute").text == "60"


def test_admin_revokes_a_key_with_a_reason(client: str, console: Console) -> None:
    key = make_key(console)
    console.link(f"Back to {client}").click()
    console.wait_for(".stacks summary", "Revoke…").click()
    console.labelled("Reason:").send_keys("lost")
    console.press(f"Revoke {key[:16]}…")
    console.wait_for(".messagelist", f"Revoked {key[:16]}….")
    assert console.all(".stacks summary") == []
    assert "lost" in console.text


def test_reloaded_page_of_a_key_makes_no_second_one(client: str, console: Console) -> None:
    make_key(console)
    console.driver.refresh()
    console.wait_for(".messagelist", "This form was sent before")
    assert len(console.all("td summary")) == 1


def disable_and_enable(console: Console, name: str, credentials: str, short_name: str) -> None:
    for verb, told in [
        ("Disable", f"Disabled {name}, with all its {credentials}."),
        ("Enable", f"Enabled {name}."),
    ]:
        console.labelled("Reason:").send_keys("as agreed")
        console.press(f"{verb} {short_name}")
        console.wait_for(".messagelist", told)


def test_admin_disables_and_enables_a_client(client: str, console: Console) -> None:
    disable_and_enable(console, client, "keys", client)


def test_staff_filter_tasks_by_client(client: str, console: Console) -> None:
    console.open("/admin/tasks/task/")
    console.link(client).click()
    console.wait_for(".paginator", "0 tasks")


def test_admin_disables_and_enables_a_client_with_tokens(
    with_tokens: WithTokens, console: Console
) -> None:
    name = with_tokens.name
    console.sign_in("admin")
    console.open(CLIENTS)
    console.link(name).click()
    disable_and_enable(console, name, "tokens", f"{name[:32]}…{name[-31:]}")


@pytest.mark.parametrize("width", [320, 1366])
def test_longest_name_stays_within_every_page(
    width: int, with_tokens: WithTokens, console: Console
) -> None:
    console.of_width(width, 900)
    console.sign_in("admin")
    wider = (
        "return [...document.querySelectorAll('html, .results, .module, .form-row')]"
        ".filter(part => part.scrollWidth > part.clientWidth).map(part => part.className)"
    )
    found = {}
    for path in with_tokens.paths:
        console.open(path)
        assert with_tokens.name[-31:] in console.driver.page_source
        found[path] = console.driver.execute_script(wider)
    assert {path: parts for path, parts in found.items() if parts} == {}
