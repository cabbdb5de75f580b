"""The allowed directions of imports, and the size of folders. Each rule gives its reason."""

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
# Django fixes the names of these folders, and migrations only become more.
OF_DJANGO = {"migrations", "management", "commands"}


class Rule(NamedTuple):
    """Modules below `package` import nothing below `forbidden`.

    Attributes:
        apart_from: modules below `package` that are exempt.
        allowed: modules below `forbidden` that may still be imported.
    """

    package: str
    forbidden: tuple[str, ...]
    why: str
    apart_from: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


RULES = (
    Rule(
        "safety",
        ("tasks", "orchestrator_site", "tests"),
        "safety does not depend on tasks or the site",
    ),
    Rule(
        "tasks", ("orchestrator_site", "tests"), "tasks do not depend on the site that shows them"
    ),
    Rule("orchestrator_site", ("tests",), "the product does not depend on its tests"),
    Rule("safety", ("rest_framework",), "the gate does not depend on the REST framework"),
    Rule("safety", ("django.contrib.admin",), "the console is in one package, outside of safety"),
    Rule("tasks", ("django.contrib.admin",), "the console is in one package, outside of tasks"),
    Rule(
        "safety",
        ("requests", "urllib3", "pybreaker"),
        "only safety.outbound makes HTTP calls; other modules use its types and exceptions",
        apart_from=("safety.outbound",),
    ),
    Rule(
        "tasks",
        ("requests", "urllib3", "pybreaker"),
        "tasks call other services through safety.outbound",
    ),
    Rule(
        "safety.outbound",
        ("safety", "django"),
        "calls to other services do not depend on verdicts or the Reflex Layer",
        allowed=("safety.outbound",),
    ),
    Rule(
        "safety.reflex_layer",
        ("django", "safety"),
        "the bundled Reflex Layer is a separate service",
        allowed=("safety.reflex_layer",),
    ),
    Rule(
        "tasks",
        ("rest_framework", "drf_spectacular"),
        "only tasks.api uses the REST framework",
        apart_from=("tasks.api",),
    ),
    Rule("tasks", ("tasks.api",), "tasks do not depend on the API", ("tasks.api",)),
    Rule(
        "tasks.models",
        ("tasks.services", "safety.gate", "safety.outbound", "safety.reflex_client"),
        "models do not depend on services",
    ),
    Rule("tasks.states", ("tasks",), "the states depend on nothing else in tasks"),
    Rule(
        "tasks.models",
        ("tasks.execution",),
        "models know what follows from their verbs, not how workers carry tasks out",
        allowed=(
            "tasks.execution.endings",
            "tasks.execution.failures",
            "tasks.execution.outcomes",
            "tasks.execution.ringing",
        ),
    ),
    Rule(
        "tasks.arms",
        ("tasks",),
        "calls to arms do not depend on the tasks that they are for",
        allowed=("tasks.arms",),
    ),
    Rule(
        "tasks.arms.bundled",
        ("django", *PRODUCT),
        "the bundled arm is a separate service",
        # The forms of criteria depend on nothing.
        allowed=("tasks.arms.bundled", "tasks.arms.forms"),
    ),
    Rule(
        "tasks",
        ("tasks.execution.worker",),
        "only workers need their code; others leave them jobs and rows",
        apart_from=("tasks.execution.worker",),
    ),
    Rule(
        "orchestrator_site",
        ("tasks.execution.worker",),
        "only workers need their code; others leave them jobs and rows",
        apart_from=(
            "orchestrator_site.management.commands.work",
            # It shows the kinds of lost work that workers count.
            "orchestrator_site.observability.shared_metrics",
        ),
    ),
    Rule(
        "tasks",
        ("procrastinate",),
        "procrastinate brings workers their jobs; others write rows of its table",
        apart_from=("tasks.execution.worker", "tasks.migrations"),
    ),
    Rule(
        "orchestrator_site",
        ("procrastinate",),
        "procrastinate brings workers their jobs; others write rows of its table",
        # The console leaves out its pages.
        apart_from=("orchestrator_site.admin",),
    ),
    Rule("safety", ("procrastinate",), "the gate knows no jobs"),
    Rule(
        "tasks.clients",
        ("tasks.services", "tasks.insertion", "tasks.bulk", "safety.gate"),
        "clients are known before anything is done for them",
    ),
    Rule(
        "tasks.clients.keys",
        ("django", "tasks"),
        "the form of a key depends on nothing",
    ),
    Rule(
        "tasks.models",
        ("tasks.clients",),
        "models know the form of keys and limits, not how requests are let in",
        allowed=(
            "tasks.clients.exceptions",
            "tasks.clients.keys",
            "tasks.clients.rate_limits",
            "tasks.clients.scopes",
        ),
    ),
    Rule(
        "orchestrator_site",
        ("orchestrator_site.console",),
        "nothing depends on the console",
        apart_from=(
            "orchestrator_site.console",
            "orchestrator_site.admin",
            # It puts the check of account names on the field, for commands as well as the console.
            "orchestrator_site.apps",
        ),
    ),
    Rule(
        "orchestrator_site",
        ("orchestrator_site.development",),
        "production does not use the code for development",
        apart_from=(
            "orchestrator_site.development",
            "orchestrator_site.management",
            # The settings choose between production and development.
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
    """Yield the imports of a file; names of a `from` import are prefixed with the module."""
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


def breaks(rule: Rule, module: str, imported: str) -> bool:
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
        if breaks(rule, module, imported)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("rule", RULES, ids=[f"{rule.package}: {rule.why}" for rule in RULES])
def test_each_rule_applies_to_existing_modules(rule: Rule) -> None:
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
def test_a_folder_has_few_modules_and_levels(folder: str, modules: int) -> None:
    is_top = folder in ("tasks", "orchestrator_site")
    assert modules <= (MOST_MODULES_AT_THE_TOP if is_top else MOST_MODULES)
    assert folder.count(".") < MOST_LEVELS


def test_the_models_of_safety_load_without_an_http_client() -> None:
    """Code that reads receipts should not need the code that calls the Reflex Layer."""
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
