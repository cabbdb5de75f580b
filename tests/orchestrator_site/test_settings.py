"""The settings of the service, read in a new process as at its start."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.environment import ROOT

SHOW = """
import json, sys
from orchestrator_site import settings
json.dump({name: getattr(settings, name) for name in sys.argv[1:]}, sys.stdout, default=str)
"""


def run(command: list[str], **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {f"ORCHESTRATOR_{name}": value for name, value in variables.items()},
        capture_output=True,
        text=True,
    )


def read(*names: str, **variables: str) -> dict[str, Any]:
    finished = run(["-c", SHOW, *names], **variables)
    assert finished.returncode == 0, finished.stderr
    shown: dict[str, Any] = json.loads(finished.stdout)
    return shown


def documented() -> dict[str, str]:
    """Return the variables of .env.example with their defaults."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    pairs = (re.fullmatch(r"# ORCHESTRATOR_(\w+)=(.*)", line) for line in lines)
    return {pair[1]: pair[2] for pair in pairs if pair}


def known() -> set[str]:
    """Return the variables that settings.py reads."""
    source = (ROOT / "orchestrator_site/settings.py").read_text()
    return set(re.findall(r'(?:env\.\w+|names)\(\s*"([A-Z_]+)"', source))


def test_each_variable_is_in_the_example_file() -> None:
    assert set(documented()) == known()


def test_each_variable_is_in_the_table_of_settings() -> None:
    table = set(
        re.findall(r"^\| `ORCHESTRATOR_(\w+)` \|", (ROOT / "docs/settings.md").read_text(), re.M)
    )
    assert table == known()


def test_the_example_file_gives_the_defaults() -> None:
    names = [
        "REFLEX_URL",
        "LOG_LEVEL",
        "HOST",
        "PORT",
        "ALLOWED_HOSTS",
        "WORKERS",
        "THREADS",
        "CSRF_TRUSTED_ORIGINS",
        "MAX_BODY_BYTES",
        "REFLEX_DEADLINE_SECONDS",
        "CIRCUIT_FAILURES",
        "CIRCUIT_RESET_SECONDS",
        "DATABASE_TIMEOUT_SECONDS",
        "TRUSTED_PROXIES",
        "HTTPS",
        "DEVELOPMENT",
        "ENABLE_REFLEX_INTEGRATION",
        "PII_ACTION",
        "PII_ACTION_BY_TYPE",
        "INJECTION_BLOCKS_FROM",
        "INJECTION_FLAGS_FROM",
        "IGNORED_TYPES",
        "OUTPUT_PII_ACTION",
        "OUTPUT_INJECTION_BLOCKS_FROM",
        "ANONYMOUS_ACCESS",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        "JWT_JWKS_URL",
        "RATE_LIMIT",
        "ARMS",
        "MAX_COST_USD_PER_TASK",
        "MAX_COST_USD_PER_DAY",
        "PLANNING",
        "UNDECIDED",
        "DECISION_SECONDS",
        "WORKER_CONCURRENCY",
        "WORKER_DRAIN_SECONDS",
        "WORKER_DATABASE_URL",
        "WORKER_METRICS_PORT",
    ]
    # Two variables have no default, and DEBUG is the setting DEVELOPMENT.
    assert set(names) == known() - {"DATABASE_URL", "SECRET_KEY", "DEBUG"} | {"DEVELOPMENT"}
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")
    }
    required = {
        "ORCHESTRATOR_DATABASE_URL": "postgresql://nowhere/none",
        "ORCHESTRATOR_SECRET_KEY": "x" * 32,
    }
    bare = subprocess.run(
        [sys.executable, "-c", SHOW, *names],
        cwd=ROOT,
        env=environment | required,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(bare.stdout) == read(*names, HTTPS="true")


SPECIFIED = {
    "REFLEX_URL": "http://localhost:8080",
    "ENABLE_REFLEX_INTEGRATION": True,
    "LOG_LEVEL": "INFO",
    "HOST": "0.0.0.0",  # noqa: S104
    "PORT": 8000,
}


@pytest.mark.parametrize("name", SPECIFIED)
def test_a_variable_of_the_specification_has_its_default(name: str) -> None:
    assert read(name) == {name: SPECIFIED[name]}


def test_the_database_url_of_the_specification_is_accepted() -> None:
    url = "postgresql+asyncpg://user:password@localhost:5432/octollm"
    database = read("DATABASES", DATABASE_URL=url)["DATABASES"]["default"]
    assert (database["HOST"], database["NAME"]) == ("localhost", "octollm")


WRONG = {
    "DATABASE_URL": "mysql://user:s3cret@host/name",
    "REFLEX_URL": "s3cret://reflex",
    "ENABLE_REFLEX_INTEGRATION": "s3cret",
    "LOG_LEVEL": "s3cret",
    "PORT": "70000",
    "DEBUG": "s3cret",
    "SECRET_KEY": "s3cret" + "x" * 25,
    "ALLOWED_HOSTS": "orchestrator.example,https://s3cret.example",
    "HTTPS": "s3cret",
    "TRUSTED_PROXIES": "-1",
    "WORKERS": "0",
    "THREADS": "2",
    "MAX_BODY_BYTES": "s3cret",
    "PII_ACTION": "s3cret",
    "PII_ACTION_BY_TYPE": "Email=s3cret",
    "INJECTION_BLOCKS_FROM": "s3cret",
    "INJECTION_FLAGS_FROM": "s3cret",
    "IGNORED_TYPES": "s3cret",
    "OUTPUT_PII_ACTION": "s3cret",
    "OUTPUT_INJECTION_BLOCKS_FROM": "s3cret",
    "REFLEX_DEADLINE_SECONDS": "0",
    "CIRCUIT_FAILURES": "0",
    "CIRCUIT_RESET_SECONDS": "nan",
    "DATABASE_TIMEOUT_SECONDS": "inf",
    "JWT_ISSUER": "http://s3cret.example",
    "JWT_AUDIENCE": " s3cret",
    "JWT_JWKS_URL": "s3cret",
    "ARMS": "helper=s3cret",
    "MAX_COST_USD_PER_TASK": "s3cret",
    "MAX_COST_USD_PER_DAY": "-1",
    "WORKER_CONCURRENCY": "0",
    "WORKER_DRAIN_SECONDS": "s3cret",
    "WORKER_DATABASE_URL": "mysql://user:s3cret@host/name",
    "WORKER_METRICS_PORT": "70000",
    "DATABSE_TIMEOUT_SECONDS": "s3cret",
}


def test_all_invalid_variables_are_reported_at_once_without_their_values() -> None:
    finished = run(["manage.py", "check"], **WRONG)
    assert finished.returncode == 1
    assert finished.stdout == ""
    lines = finished.stderr.splitlines()
    assert lines[0] == "Wrong settings:"
    assert [line.split(":")[0] for line in lines[1:]] == sorted(
        f"ORCHESTRATOR_{name}" for name in WRONG
    )
    assert "s3cret" not in finished.stderr


def test_a_missing_required_variable_stops_gunicorn_with_json_lines_only(tmp_path: Path) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("ORCHESTRATOR_DATABASE_URL", "ORCHESTRATOR_SECRET_KEY")
    }
    finished = subprocess.run(
        [
            sys.executable,
            "-m",
            "gunicorn",
            "--config=python:orchestrator_site.serving.gunicorn_conf",
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 1
    lines = [json.loads(line) for line in (finished.stdout + finished.stderr).splitlines()]
    assert [(line["level"], line["fault"].split(":")[0]) for line in lines] == [
        ("ERROR", "ORCHESTRATOR_DATABASE_URL"),
        ("ERROR", "ORCHESTRATOR_SECRET_KEY"),
    ]


def test_the_environment_wins_over_the_env_file(tmp_path: Path) -> None:
    for name in ("orchestrator_site", "safety", "tasks"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".env").write_text("ORCHESTRATOR_PORT=9001\nORCHESTRATOR_WORKERS=9\n")
    environment = {key: value for key, value in os.environ.items() if key != "ORCHESTRATOR_WORKERS"}
    finished = subprocess.run(
        [sys.executable, "-c", SHOW, "PORT", "WORKERS"],
        cwd=tmp_path,
        env=environment | {"ORCHESTRATOR_PORT": "9002"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(finished.stdout) == {"PORT": 9002, "WORKERS": 9}


def test_names_in_a_list_may_have_spaces_around_them() -> None:
    hosts = read("ALLOWED_HOSTS", ALLOWED_HOSTS="a.example, b.example ,")
    assert hosts == {"ALLOWED_HOSTS": ["a.example", "b.example"]}


def faults(**variables: str) -> list[str]:
    finished = run(["manage.py", "check"], **variables)
    return finished.stderr.splitlines()[1:]


def test_an_unknown_variable_is_reported_with_the_closest_known_one() -> None:
    assert faults(PORTS="9000", WORKER="2", REFLEX_LAYER_URL="http://localhost:1") == [
        "ORCHESTRATOR_PORTS: is unknown; the closest known variable is ORCHESTRATOR_PORT",
        "ORCHESTRATOR_REFLEX_LAYER_URL: is unknown; the closest known variable is "
        "ORCHESTRATOR_REFLEX_URL",
        "ORCHESTRATOR_WORKER: is unknown; the closest known variable is ORCHESTRATOR_WORKERS",
    ]


def test_an_unknown_variable_in_the_env_file_is_reported_too(tmp_path: Path) -> None:
    for name in ("orchestrator_site", "safety", "tasks"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".env").write_text("ORCHESTRATOR_LOGLEVEL=DEBUG\n")
    finished = subprocess.run(
        [sys.executable, "-c", SHOW, "PORT"], cwd=tmp_path, capture_output=True, text=True
    )
    assert finished.stderr.splitlines()[-1].endswith(
        "ORCHESTRATOR_LOGLEVEL: is unknown; the closest known variable is ORCHESTRATOR_LOG_LEVEL"
    )


NO_LIMIT = "must be an amount from 0 to 99999999 with at most 4 decimals, or empty for no limit"


@pytest.mark.parametrize("name", ["MAX_COST_USD_PER_TASK", "MAX_COST_USD_PER_DAY"])
@pytest.mark.parametrize(
    ("value", "shown"),
    [("", None), ("0", "0"), ("0.25", "0.25"), ("99999999", "99999999"), ("1e2", "1E+2")],
)
def test_an_amount_is_a_decimal_and_nothing_is_no_limit(
    name: str, value: str, shown: str | None
) -> None:
    assert read(name, **{name: value}) == {name: shown}


@pytest.mark.parametrize(
    "value",
    ["-0.01", "0.00001", "99999999.01", "NaN", "sNaN", "Infinity", "1,5", "$1", "one", "1 000"],
)
def test_an_amount_that_is_none_is_reported(value: str) -> None:
    assert faults(MAX_COST_USD_PER_TASK=value, MAX_COST_USD_PER_DAY=value) == [
        f"ORCHESTRATOR_MAX_COST_USD_PER_DAY: {NO_LIMIT}",
        f"ORCHESTRATOR_MAX_COST_USD_PER_TASK: {NO_LIMIT}",
    ]


@pytest.mark.parametrize(
    ("name", "accepted", "refused"),
    [
        ("WORKER_CONCURRENCY", ["1", "256"], ["0", "257", "1.5", ""]),
        ("WORKER_DRAIN_SECONDS", ["0", "0.5", "3600"], ["-1", "3600.1", "nan", "inf"]),
        ("WORKER_METRICS_PORT", ["0", "65535"], ["-1", "65536", "x"]),
        (
            "WORKER_DATABASE_URL",
            ["", "postgresql+asyncpg://user:password@localhost:5432/octollm"],
            ["mysql://db/octollm", "postgresql://db"],
        ),
    ],
)
def test_a_variable_of_workers_is_checked_at_the_start(
    name: str, accepted: list[str], refused: list[str]
) -> None:
    for value in accepted:
        assert str(read(name, **{name: value})[name]) in (value, f"{value}.0")
    for value in refused:
        [fault] = faults(**{name: value})
        assert fault.startswith(f"ORCHESTRATOR_{name}: ")


ISSUER, AUDIENCE = "https://login.example/realms/company", "https://orchestrator.example"


@pytest.mark.parametrize(
    ("given", "missing", "named"),
    [
        ({"JWT_ISSUER": ISSUER}, ["JWT_AUDIENCE"], "JWT_ISSUER"),
        ({"JWT_AUDIENCE": AUDIENCE}, ["JWT_ISSUER"], "JWT_AUDIENCE"),
        ({"JWT_JWKS_URL": f"{ISSUER}/keys"}, ["JWT_AUDIENCE", "JWT_ISSUER"], "JWT_JWKS_URL"),
        ({"JWT_ISSUER": ISSUER, "JWT_JWKS_URL": ISSUER}, ["JWT_AUDIENCE"], "JWT_ISSUER"),
    ],
    ids=["issuer", "audience", "keys", "issuer and keys"],
)
def test_an_issuer_and_its_audience_need_each_other(
    given: dict[str, str], missing: list[str], named: str
) -> None:
    assert faults(**given) == [
        f"ORCHESTRATOR_{name}: is needed with ORCHESTRATOR_{named}" for name in missing
    ]


@pytest.mark.parametrize(
    "issuer",
    [
        ISSUER,
        f"{ISSUER}/",
        ISSUER + "x" * (255 - len(ISSUER)),
        "http://127.0.0.1:9000",
        "http://[::1]",
    ],
    ids=range(5),
)
def test_an_issuer_is_taken_as_it_is(issuer: str) -> None:
    assert read("JWT_ISSUER", JWT_ISSUER=issuer, JWT_AUDIENCE=AUDIENCE) == {"JWT_ISSUER": issuer}


SAFE = "must be an https address such as https://login.example/realms/company; http is for "
SAFE += "addresses of this machine only"


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("JWT_ISSUER", "http://login.example", SAFE),
        ("JWT_ISSUER", "login.example", SAFE),
        ("JWT_ISSUER", "https://user:s3cret@login.example", SAFE),
        ("JWT_ISSUER", f"{ISSUER}?a=b", "must have at most 255 characters and no question mark"),
        ("JWT_ISSUER", ISSUER + "x" * 255, "must have at most 255 characters and no question mark"),
        ("JWT_JWKS_URL", "http://10.0.0.7/keys", SAFE),
        (
            "JWT_AUDIENCE",
            f"{AUDIENCE} ",
            "must be the audience that tokens name, without spaces around it",
        ),
        (
            "JWT_AUDIENCE",
            "a\x07b",
            "must be the audience that tokens name, without spaces around it",
        ),
    ],
    ids=range(8),
)
def test_an_issuer_that_cannot_be_trusted_is_a_fault(name: str, value: str, fault: str) -> None:
    good = {"JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}
    assert faults(**good | {name: value}) == [f"ORCHESTRATOR_{name}: {fault}"]


# Variables that Kubernetes sets for services named `orchestrator` and `orchestrator-web`.
KUBERNETES = {
    "PORT": "tcp://10.0.0.1:8000",
    "PORT_8000_TCP": "tcp://10.0.0.1:8000",
    "PORT_8000_TCP_ADDR": "10.0.0.1",
    "PORT_8000_TCP_PORT": "8000",
    "PORT_8000_TCP_PROTO": "tcp",
    "SERVICE_HOST": "10.0.0.1",
    "SERVICE_PORT": "8000",
    "SERVICE_PORT_HTTP": "8000",
    "WEB_PORT": "tcp://10.0.0.2:80",
    "WEB_PORT_80_TCP": "tcp://10.0.0.2:80",
    "WEB_PORT_80_TCP_ADDR": "10.0.0.2",
    "WEB_SERVICE_HOST": "10.0.0.2",
    "WEB_SERVICE_PORT": "80",
    "WEB_SERVICE_PORT_HTTP": "80",
}


def test_variables_that_kubernetes_sets_for_services_are_ignored() -> None:
    assert read("PORT", **KUBERNETES) == {"PORT": 8000}


@pytest.mark.parametrize(
    "hosts", ["https://a.example", "a.example:8000", "a.example/", "::1", "a.example b.example"]
)
def test_an_allowed_host_that_matches_no_host_header_is_reported(hosts: str) -> None:
    assert faults(ALLOWED_HOSTS=hosts) == [
        "ORCHESTRATOR_ALLOWED_HOSTS: must be hosts such as orchestrator.example or [::1], without "
        "scheme, port and path"
    ]


@pytest.mark.parametrize("hosts", ["*", ".example", "10.0.0.1,[2001:db8::1]", "web_1"])
def test_every_kind_of_host_is_allowed(hosts: str) -> None:
    assert read("ALLOWED_HOSTS", ALLOWED_HOSTS=hosts) == {"ALLOWED_HOSTS": hosts.split(",")}


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("IGNORED_TYPES", "Emial", ["Email", "SSN", "DataExfiltration", "Custom"]),
        ("PII_ACTION_BY_TYPE", "Emial=block", ["Email", "SSN", "Custom", "redact"]),
        ("PII_ACTION", "blok", ["block", "redact", "allow"]),
        ("INJECTION_BLOCKS_FROM", "hihg", ["low", "critical"]),
        ("LOG_LEVEL", "TRACE", ["DEBUG", "ERROR"]),
    ],
)
def test_an_invalid_value_is_reported_with_the_allowed_ones(
    name: str, value: str, allowed: list[str]
) -> None:
    [fault] = faults(**{name: value})
    assert {*allowed} <= {*re.findall(r"\w+", fault)}
