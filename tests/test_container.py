"""The container files, as far as they can be checked without an engine."""

import re
import shlex
import subprocess
import sys
from typing import Any

import pytest
import yaml

from tests.environment import ROOT
from tests.service import Service

DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)


def test_the_image_has_two_stages_and_does_not_run_as_root() -> None:
    assert len(instructions("FROM")) == 2
    assert instructions("USER") == ["10001"]


def test_the_image_holds_what_the_service_imports_and_nothing_it_ignores() -> None:
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
def test_the_health_check_and_static_files_work_without_a_collecting_step(
    service: Service, path: str
) -> None:
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


def test_compose_runs_database_reflex_layer_and_web() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"database", "reflex-layer", "migrate", "web"}
    assert services["web"]["depends_on"].keys() == {"database", "migrate", "reflex-layer"}
    command = services["reflex-layer"]["command"]
    assert shlex.join(command[:3]) == "python -m safety.reflex_layer"
