"""The directions in which the packages may know each other."""

import ast
from pathlib import Path

import pytest

from tests.environment import ROOT

PACKAGES = ("orchestrator_site", "tasks", "safety", "tests")
MAY_IMPORT = {
    "orchestrator_site": {"orchestrator_site", "tasks", "safety"},
    "tasks": {"tasks", "safety"},
    "safety": {"safety"},
}


def imported_packages(module: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.split(".")[0] for name in names} & set(PACKAGES)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_go_one_way(package: str) -> None:
    modules = list((ROOT / package).rglob("*.py"))
    assert modules
    wrong = {
        str(module.relative_to(ROOT)): imported_packages(module) - MAY_IMPORT[package]
        for module in modules
    }
    assert {module: names for module, names in wrong.items() if names} == {}


def test_the_gate_knows_no_rest_framework() -> None:
    for module in (ROOT / "safety").rglob("*.py"):
        assert "rest_framework" not in module.read_text()


def test_the_bundled_reflex_layer_needs_no_django() -> None:
    for module in (ROOT / "safety/reflex_layer").rglob("*.py"):
        assert "django" not in module.read_text()
