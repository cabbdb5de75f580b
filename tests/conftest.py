"""Real dependencies for the tests: databases, Reflex Layers, running services."""

import os
import socket
import ssl
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.db.models.signals import post_migrate
from django.test import override_settings

from safety.gate import gate
from tests.certificate import CERTIFICATE
from tests.environment import ROOT
from tests.issuer import Issuer
from tests.postgresql import as_service, create_key, new_database
from tests.reflex_layer import ScriptedReflexLayer, answer, says
from tests.service import ANSWER_SECONDS, Service
from tests.turns import turn
from tests.waiting import wait_for_probes

StartService = Callable[..., Service]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse two tests with the same id: of those, pytest-xdist runs only one."""
    numbers = Counter(item.nodeid for item in items)
    if same := [name for name, number in numbers.items() if number > 1]:
        raise pytest.UsageError(f"More than one test has the id {', '.join(same)}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test marked `alone` while the other processes of the run wait."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    # pytest-xdist makes a folder for each process, side by side.
    folder = Path(item.config.getoption("basetemp")).parent
    with turn(folder, alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Use a fast password hash: the default is slow on purpose, for each member of staff."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Let Django empty its test database.

    After a test that commits, Django truncates all tables, which triggers on the events refuse.
    The database of the services keeps the triggers; they are tested there. The roles are restored,
    since other tests may follow. Jobs are deleted: Django does not manage their table.
    """
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE task_events DISABLE TRIGGER task_events_refuse_truncate")
        cursor.execute("ALTER TABLE client_events DISABLE TRIGGER client_events_refuse_truncate")
        roles = {
            role.name: list(role.permissions.values_list("codename", flat=True))
            for role in Group.objects.all()
        }

    def finish_flush(**_: object) -> None:
        for name, codenames in roles.items():
            role, _made = Group.objects.get_or_create(name=name)
            role.permissions.set(Permission.objects.filter(codename__in=codenames))
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE procrastinate_jobs CASCADE")

    # Sent at the end of a flush; the last application comes when all permissions are there again.
    *_, last = apps.get_app_configs()
    post_migrate.connect(finish_flush, sender=last, weak=False)


@pytest.fixture
def reflex_layer(settings: Any) -> Iterator[ScriptedReflexLayer]:
    """A scripted Reflex Layer for the gate of this process; by default, every text is clean."""
    with ScriptedReflexLayer() as scripted:
        settings.REFLEX_URL = scripted.url
        # So that a circuit that a test leaves open closes soon.
        settings.CIRCUIT_RESET_SECONDS = 0.05
        gate.cache_clear()
        yield scripted
        scripted.behaviour = says(answer())
        wait_for_probes()
    gate.cache_clear()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TLS certificate of the tests' own servers."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_text(CERTIFICATE)
    return path


@pytest.fixture
def trust(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.fixture
def tls_context(certificate: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    return made


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A real issuer of tokens."""
    with Issuer() as issuer:
        yield issuer


@pytest.fixture(scope="session")
def service_owner_url() -> str:
    """A migrated database for services, separate from the one that Django's tests roll back."""
    return new_database(os.environ["ORCHESTRATOR_DATABASE_URL"], "service")


@pytest.fixture(scope="session")
def service_database_url(service_owner_url: str) -> str:
    """The same with the service's role, so that every test of a service detects missing grants."""
    return as_service(service_owner_url)


@pytest.fixture(scope="session")
def service_database(service_owner_url: str) -> Iterator["psycopg.Connection[Any]"]:
    """A connection to the services' database, as the owner."""
    with psycopg.connect(service_owner_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def service_key(service_owner_url: str) -> str:
    """A key with all scopes of a client in the services' database that tests do not change."""
    return create_key(service_owner_url, "client-of-tests")


@pytest.fixture
def new_key(service_owner_url: str) -> str:
    """A key of a new client in the services' database, with all scopes, as operators make it."""
    return create_key(service_owner_url, f"client-{uuid.uuid4().hex[:12]}")


@pytest.fixture
def start_service(tmp_path: Path, service_database_url: str) -> Iterator[StartService]:
    """Start services with settings of the test; they stop after the test."""
    started: list[Service] = []

    def start(**variables: Any) -> Service:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        service = Service(folder, **{"DATABASE_URL": service_database_url} | variables)
        started.append(service)
        return service

    yield start
    for service in started:
        if service.process.poll() is None:
            service.stop()


@pytest.fixture(scope="session")
def bundled_reflex_layer() -> Iterator[str]:
    """The URL of the bundled Reflex Layer, in its own process."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        process = subprocess.Popen(
            [sys.executable, "-m", "safety.reflex_layer", "--fd", str(listener.fileno())],
            cwd=ROOT,
            pass_fds=[listener.fileno()],
        )
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    # On a busy machine, its start takes longer than the service waits for an answer.
    assert requests.get(f"{url}/ready", timeout=ANSWER_SECONDS).status_code == 200
    yield url
    process.terminate()
    assert process.wait(20) == 0


@pytest.fixture(scope="session")
def service(
    tmp_path_factory: pytest.TempPathFactory, service_database_url: str, bundled_reflex_layer: str
) -> Iterator[Service]:
    """A service as operators run it, with the bundled Reflex Layer."""
    with Service(
        tmp_path_factory.mktemp("service"),
        DATABASE_URL=service_database_url,
        REFLEX_URL=bundled_reflex_layer,
        WORKERS=2,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def unscreened(
    tmp_path_factory: pytest.TempPathFactory, service_database_url: str
) -> Iterator[Service]:
    """A service without screening: every refusal comes from the service itself."""
    with Service(
        tmp_path_factory.mktemp("unscreened"),
        DATABASE_URL=service_database_url,
        ENABLE_REFLEX_INTEGRATION=False,
        WORKERS=1,
    ) as running:
        yield running
