"""A service with demonstration data, staff of every role, and a browser with a checked log."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from selenium.webdriver import Chrome

from tests.browser import chromium
from tests.browser.console import PASSWORD, Console
from tests.environment import ROOT
from tests.postgresql import as_service, new_database
from tests.service import Service

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
TASKS = 400
STAFF = f"""
from django.contrib.auth.models import Group, User
for group in Group.objects.all():
    name = group.name.lower().replace(" ", "-")
    User.objects.create_user(name, password="{PASSWORD}", is_staff=True).groups.add(group)
"""


@pytest.fixture(scope="session")
def driver() -> Iterator[Chrome]:
    if not (chromium.CHROMIUM and chromium.CHROMEDRIVER):
        pytest.skip(chromium.MISSING)
    with chromium.start() as driver:
        yield driver


@pytest.fixture(scope="session")
def browser_database_url(driver: Chrome) -> str:
    """A database of demonstration data; created only if there is a browser."""
    url = new_database(os.environ["ORCHESTRATOR_DATABASE_URL"], "browser")
    for command in (
        ["demo", "--database-from-environment", f"--tasks={TASKS}"],
        ["shell", "--verbosity=0", f"--command={STAFF}"],
    ):
        subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=os.environ | {"ORCHESTRATOR_DATABASE_URL": url, "ORCHESTRATOR_DEBUG": "true"},
            check=True,
        )
    return url


@pytest.fixture(scope="session")
def browser_service(
    tmp_path_factory: pytest.TempPathFactory, browser_database_url: str, bundled_reflex_layer: str
) -> Iterator[Service]:
    with Service(
        tmp_path_factory.mktemp("browser"),
        DATABASE_URL=as_service(browser_database_url),
        REFLEX_URL=bundled_reflex_layer,
        WORKERS=1,
    ) as running:
        yield running


@pytest.fixture
def database(browser_database_url: str) -> "Iterator[psycopg.Connection]":
    with psycopg.connect(browser_database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def console(
    driver: Chrome, browser_service: Service, database: "psycopg.Connection"
) -> Iterator[Console]:
    """The console in the browser; the test fails if the browser logs an error."""
    # All tests sign in from one address.
    database.execute("DELETE FROM rate_limits")
    console = Console(driver, browser_service.url)
    console.in_colours("light")
    console.of_width()
    yield console
    complaints = console.complaints()
    assert complaints == []


@pytest.fixture(scope="session")
def axe() -> str:
    """The accessibility checks of axe-core, as a script."""
    if not AXE.exists():
        pytest.skip("axe-core was not found: npm ci --prefix tests/browser")
    return AXE.read_text()
