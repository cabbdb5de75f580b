import re
from copy import deepcopy
from typing import Any

import pytest
from django.db import connections

from orchestrator_site.database.url import OPTIONS, parse_database_url, use_database_url

PLAIN = {"NAME": "octollm", "USER": "user", "PASSWORD": "password", "HOST": "db", "PORT": "5432"}


@pytest.mark.parametrize(
    "scheme", ["postgresql+asyncpg", "postgresql", "postgres", "postgresql+psycopg"]
)
def test_each_postgresql_scheme_is_accepted(scheme: str) -> None:
    url = f"{scheme}://user:password@db:5432/octollm"
    assert parse_database_url(url) == PLAIN | {"OPTIONS": {}}


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        pytest.param("u:p%40ss%2Fw%3Ard@h/d", {"PASSWORD": "p@ss/w:rd"}, id="percent-encoding"),
        pytest.param("u@[2001:db8::1]:5433/d", {"HOST": "2001:db8::1", "PORT": "5433"}, id="IPv6"),
        pytest.param(
            "u@h/d?sslmode=require&application_name=x",
            {"OPTIONS": {"sslmode": "require", "application_name": "x"}},
            id="parameters",
        ),
        pytest.param("postgres@/d?host=/run/postgresql", {"HOST": "/run/postgresql"}, id="socket"),
        pytest.param("/d", {"NAME": "d", "OPTIONS": {}}, id="nothing but a name"),
    ],
)
def test_urls_of_libpq_are_parsed(rest: str, expected: dict[str, Any]) -> None:
    parsed = parse_database_url(f"postgresql://{rest}")
    assert {key: parsed[key] for key in expected} == expected


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:s3cret@db/octollm",
        "sqlite:///s3cret.db",
        "postgresql:s3cret",
        "postgresql+psycopg2://user:s3cret@db/octollm",
        "postgresql://user:s3cret%zz@db/octollm",
        "postgresql://user:s3cret@db:port/octollm?s3cret=s3cret",
        "postgresql://user:s3cret@db:5432",
        "postgresql://user:s3cret@db:5432/",
        # The @ in the password is not written as %40, so part of the password looks like a host.
        "postgresql://user:pass@s3cret@db:5432/octollm",
        "postgresql://db/octollm?connect_timeout=s3cret",
        "postgresql://db/octollm?sslmode=s3cret",
        "postgresql://db:70000/octollm",
        "s3cret",
        "",
    ],
)
def test_other_urls_are_refused_without_quoting_them(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(must begin|is not|names no|has an?) ") as caught:
        parse_database_url(url)
    assert not re.search("s3cret", str(caught.value))


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The entries of this process, which are as before after the test."""
    entries: dict[str, Any] = deepcopy(connections.settings["default"])
    entries |= parse_database_url("postgresql://web:pooled@pooler:6432/octollm") | {
        "OPTIONS": OPTIONS | {"sslrootcert": "/of/the/first"}
    }
    monkeypatch.setitem(connections.settings, "default", entries)
    return entries


def test_another_database_is_used_with_our_options(entries: dict[str, Any]) -> None:
    others = {name: value for name, value in entries.items() if name not in (*PLAIN, "OPTIONS")}
    use_database_url("postgresql://user:password@db:5432/octollm?sslmode=require")
    assert connections.settings["default"] == others | PLAIN | {
        "OPTIONS": OPTIONS | {"sslmode": "require"}
    }
    assert connections.settings["default"]["ENGINE"] == "orchestrator_site.database"


def test_what_another_url_lacks_is_not_that_of_the_first(entries: dict[str, Any]) -> None:
    use_database_url("postgresql:///other")
    assert {name: entries[name] for name in PLAIN} == dict.fromkeys(PLAIN, "") | {"NAME": "other"}


def test_options_of_another_url_win(entries: dict[str, Any]) -> None:
    use_database_url("postgresql://db/octollm?options=-c%20y%3D2")
    assert entries["OPTIONS"]["options"] == "-c y=2"


def test_a_bad_url_changes_nothing(entries: dict[str, Any]) -> None:
    before = deepcopy(entries)
    with pytest.raises(ValueError, match="must begin"):
        use_database_url("mysql://db/octollm")
    assert entries == before
