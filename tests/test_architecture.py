"""The directions in which packages may know each other. Each rule names what it protects."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.environment import ROOT

PRODUCT = ("orchestrator_site", "tasks", "safety")
MOST_MODULES = 15
MOST_MODULES_AT_THE_TOP = 12
MOST_LEVELS = 3
# Django gives these their names, and their number grows with the years.
OF_DJANGO = {"migrations", "management", "commands"}


class Rule(NamedTuple):
    """Modules below `package` import nothing below `forbidden`.

    Attributes:
        apart_from: modules for which the rule does not hold.
        allowed: what they may import all the same.
    """

    package: str
    forbidden: tuple[str, ...]
    why: str
    apart_from: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


RULES = (
    Rule("safety", ("tasks", "orchestrator_site", "tests"), "safety knows no tasks and no site"),
    Rule("tasks", ("orchestrator_site", "tests"), "tasks do not know where they are shown"),
    Rule("orchestrator_site", ("tests",), "the product does not know its tests"),
    Rule("safety", ("rest_framework",), "the gate knows no REST framework"),
    Rule("safety", ("django.contrib.admin",), "the console is one room, and not in safety"),
    Rule("tasks", ("django.contrib.admin",), "the console is one room, and not in tasks"),
    Rule(
        "safety",
        ("requests", "urllib3", "pybreaker"),
        "only safety.outbound speaks HTTP; the others see its types and exceptions",
        apart_from=("safety.outbound",),
    ),
    Rule("tasks", ("requests", "urllib3", "pybreaker"), "tasks call others by safety.outbound"),
    Rule(
        "safety.outbound",
        ("safety", "django"),
        "a call to any service knows no verdict and no Reflex Layer",
        allowed=("safety.outbound",),
    ),
    Rule(
        "safety.reflex_layer",
        ("django", "safety"),
        "the bundled Reflex Layer is a service of its own",
        allowed=("safety.reflex_layer",),
    ),
    Rule(
        "tasks",
        ("rest_framework", "drf_spectacular"),
        "the API is one way among others to reach a task",
        apart_from=("tasks.api",),
    ),
    Rule("tasks", ("tasks.api",), "what tasks are does not depend on the API", ("tasks.api",)),
    Rule(
        "tasks.models",
        ("tasks.services", "safety.gate", "safety.outbound", "safety.reflex_client"),
        "a table knows no service",
    ),
    Rule("tasks.states", ("tasks",), "everything else is derived from the states"),
    Rule(
        "orchestrator_site",
        ("orchestrator_site.console",),
        "nothing is built on the console",
        apart_from=(
            "orchestrator_site.console",
            "orchestrator_site.admin",
            # An account's name is held by its field, also where no console is.
            "orchestrator_site.apps",
        ),
    ),
    Rule(
        "orchestrator_site",
        ("orchestrator_site.development",),
        "production runs without what is for development",
        apart_from=(
            "orchestrator_site.development",
            "orchestrator_site.management",
            # It decides which mode it is.
            "orchestrator_site.settings",
        ),
    ),
)


def below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[str]:
    """Yield what a file imports, each name of a `from` with its module before it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(path.relative_to(ROOT).parts[: -node.level] if node.level else ())
            module = ".".join(filter(None, (package, node.module)))
            yield from (f"{module}.{alias.name}" for alias in node.names)


IMPORTS = [
    (name_of(path), imported)
    for package in PRODUCT
    for path in (ROOT / package).rglob("*.py")
    for imported in imports_of(path)
]


def is_against(rule: Rule, module: str, imported: str) -> bool:
    def is_below(name: str, packages: tuple[str, ...]) -> bool:
        return any(below(name, package) for package in packages)

    return (
        below(module, rule.package)
        and is_below(imported, rule.forbidden)
        and not is_below(module, rule.apart_from)
        and not is_below(imported, rule.allowed)
    )


@pytest.mark.parametrize("rule", RULES, ids=[f"{rule.package}: {rule.why}" for rule in RULES])
def test_imports_go_one_way(rule: Rule) -> None:
    wrong = [
        f"{module} imports {imported}, but {rule.why}"
        for module, imported in IMPORTS
        if is_against(rule, module, imported)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("rule", RULES, ids=[f"{rule.package}: {rule.why}" for rule in RULES])
def test_each_rule_has_somebody_to_hold_it(rule: Rule) -> None:
    assert any(below(module, rule.package) for module, _ in IMPORTS)
    for exempt in rule.apart_from:
        assert any(below(module, exempt) for module, _ in IMPORTS)


def folders() -> Iterator[tuple[str, int]]:
    for package in PRODUCT:
        for folder in [ROOT / package, *(ROOT / package).rglob("*/")]:
            modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
            if modules and not OF_DJANGO & set(folder.relative_to(ROOT).parts):
                yield name_of(folder / "__init__.py"), len(modules)


@pytest.mark.parametrize(("folder", "modules"), list(folders()))
def test_a_folder_is_taken_in_at_a_glance(folder: str, modules: int) -> None:
    is_top = folder in ("tasks", "orchestrator_site")
    assert modules <= (MOST_MODULES_AT_THE_TOP if is_top else MOST_MODULES)
    assert folder.count(".") < MOST_LEVELS


def test_the_models_of_safety_load_without_an_http_client() -> None:
    """What reads receipts should not need what asks the Reflex Layer."""
    script = """
import sys
import django.conf
django.conf.settings.configure(INSTALLED_APPS=["django.contrib.postgres", "safety"])
django.setup()
print({"safety.models", "requests", "urllib3", "pybreaker"} & set(sys.modules))
"""
    command = [sys.executable, "-c", script]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "{'safety.models'}"
