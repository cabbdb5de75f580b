"""The stack, built and started once for all tests."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.containers.stack import Stack


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--build-network",
        help="the network of `docker build`, such as `host`, to reach the package index",
    )


@pytest.fixture(scope="session")
def stack(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.exit(f"`{' '.join(command)}` fails: start Docker and install compose", 1)
    network = pytestconfig.getoption("build_network")
    options = [f"--network={network}"] if network else []
    with Stack(tmp_path_factory.mktemp("stack"), options) as stack:
        yield stack
