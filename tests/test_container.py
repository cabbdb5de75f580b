"""Checks of the container files that need no Docker; for the others see tests/containers."""

import re
import shlex
import subprocess
import sys
from typing import Any

import pytest
import yaml
from django.conf import settings

from tests.environment import ROOT
from tests.orchestrator_site.test_settings import known
from tests.service import Service

DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)


def test_the_image_has_two_stages_and_does_not_run_as_root() -> None:
    assert len(instructions("FROM")) == 2
    assert instructions("USER") == ["10001"]


def test_the_image_contains_exactly_what_dockerignore_keeps() -> None:
    copied = [line.split()[0] for line in instructions("COPY") if not line.startswith("--")]
    kept = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert set(copied) == kept
    assert all((ROOT / name).exists() for name in copied)
    assert {"orchestrator_site", "tasks", "safety"} <= kept


@pytest.mark.parametrize("path", ["/health", "/static/admin/css/base.css"])
def test_health_and_static_files_work_without_collectstatic(service: Service, path: str) -> None:
    assert service.get(path).status_code == 200


def test_the_health_check_of_the_image_finds_a_healthy_service(service: Service) -> None:
    line = instructions("HEALTHCHECK")[0].strip()
    flags, command = line.split(" CMD ")
    assert "--interval" in flags
    arguments = yaml.safe_load(command)
    finished = subprocess.run(
        [sys.executable, *arguments[1:]], env={"ORCHESTRATOR_PORT": str(service.port)}
    )
    assert finished.returncode == 0


def test_the_image_installs_packages_only_by_hash() -> None:
    [install] = [line for line in instructions("RUN") if "pip install" in line]
    assert "--require-hashes" in install
    assert install.split("-r ")[1] == "requirements.lock"


def test_compose_runs_database_reflex_layer_web_and_worker() -> None:
    assert set(SERVICES) == {"database", "roles", "reflex-layer", "migrate", "web", "worker"}
    for name in ("web", "worker"):
        assert SERVICES[name]["depends_on"].keys() == {"database", "migrate", "reflex-layer"}
    command = SERVICES["reflex-layer"]["command"]
    assert shlex.join(command[:3]) == "python -m safety.reflex_layer"


@pytest.mark.parametrize("name", SERVICES)
def test_each_container_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "pids_limit", "cpus"} <= service.keys()
    assert {"max-size", "max-file"} <= service["logging"]["options"].keys()


def test_no_url_contains_a_password() -> None:
    for service in SERVICES.values():
        for value in service.get("environment", {}).values():
            assert not ("://" in str(value) and "${" in str(value))


def test_the_reflex_layer_gets_no_setting_and_shares_a_network_with_the_service_only() -> None:
    assert not {"environment", "env_file", "secrets"} & SERVICES["reflex-layer"].keys()
    assert SERVICES["reflex-layer"]["networks"] == ["screening"]
    on_its_network = {name for name in SERVICES if "screening" in SERVICES[name]["networks"]}
    assert on_its_network == {"reflex-layer", "web", "worker"}
    assert COMPOSE["networks"]["screening"] == {"internal": True}


def test_web_and_worker_get_the_settings_but_not_the_password_of_the_owner() -> None:
    given: set[str] = set()
    for name in ("web", "worker"):
        given |= SERVICES[name]["environment"].keys() - {"PGPASSWORD"}
        assert "${POSTGRES_PASSWORD" not in str(SERVICES[name])
        assert "env_file" not in SERVICES[name]
    # The first is only for development. There is no PgBouncer that workers would go around.
    left_out = {"DEBUG", "WORKER_DATABASE_URL"}
    assert given == {f"ORCHESTRATOR_{name}" for name in known() - left_out}


def test_a_worker_is_stopped_later_than_its_drain_ends() -> None:
    default = settings.WORKER_DRAIN_SECONDS
    assert SERVICES["worker"]["stop_grace_period"] == f"{default + 10:.0f}s"


def test_the_port_of_the_host_can_differ_from_the_port_in_the_container() -> None:
    assert SERVICES["web"]["ports"] == ["127.0.0.1:${ORCHESTRATOR_PORT:-8000}:8000"]
    assert SERVICES["web"]["environment"]["ORCHESTRATOR_PORT"] == 8000
    assert SERVICES["web"]["environment"]["ORCHESTRATOR_HOST"] == "0.0.0.0"  # noqa: S104
