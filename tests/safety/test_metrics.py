"""The metrics of findings."""

import os
import re
import subprocess
import sys
from typing import Any

import pytest
from prometheus_client import REGISTRY

from safety.findings import CUSTOM_TYPE, INJECTION_TYPES, PII_TYPES
from safety.gate import gate
from tests.environment import ROOT
from tests.reflex_layer import ScriptedReflexLayer, answer, says
from tests.safety.test_gate import DOCUMENT

FINDINGS = "octollm_orchestrator_findings_total"
SERIES = {("pii", name) for name in PII_TYPES | {CUSTOM_TYPE}} | {
    ("injection", name) for name in INJECTION_TYPES | {CUSTOM_TYPE}
}
MARKUP = "<script>alert(1)</script>"


def counted() -> dict[tuple[str, str], float]:
    return {
        (sample.labels["kind"], sample.labels["type"]): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == FINDINGS
    }


def added(reflex_layer: ScriptedReflexLayer, sent: dict[str, Any]) -> dict[tuple[str, str], float]:
    before = counted()
    reflex_layer.behaviour = says(sent)
    gate().screen(DOCUMENT, request_id="request-1")
    return {key: value - before[key] for key, value in counted().items() if value > before[key]}


def test_every_series_starts_at_zero() -> None:
    shown = subprocess.check_output(
        [
            sys.executable,
            "-c",
            "import safety.metrics, prometheus_client as p; print(p.generate_latest().decode())",
        ],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "PROMETHEUS_MULTIPROC_DIR"},
        text=True,
    )

    series = re.findall(FINDINGS + r'{kind="(\w+)",type="(\w+)"} 0\.0\n', shown)
    assert sorted(series) == sorted(SERIES)


def test_each_finding_is_counted_by_kind_and_type(reflex_layer: ScriptedReflexLayer) -> None:
    sent = answer(
        pii_matches=[{"pii_type": "SSN"}, {"pii_type": "Email"}, {"pii_type": "SSN"}],
        injection_matches=[{"injection_type": "DANVariant", "severity": "Low"}],
    )

    assert added(reflex_layer, sent) == {
        ("pii", "SSN"): 2,
        ("pii", "Email"): 1,
        ("injection", "DANVariant"): 1,
    }


@pytest.mark.parametrize(
    "name", [{"Custom": MARKUP}, MARKUP, "x" * 10_000, None], ids=["custom", "markup", "10-kB", "-"]
)
def test_any_other_type_is_counted_as_custom(reflex_layer: ScriptedReflexLayer, name: Any) -> None:
    sent = answer(
        pii_matches=[{"pii_type": name}] * 3, injection_matches=[{"injection_type": name}]
    )

    assert added(reflex_layer, sent) == {("pii", "Custom"): 3, ("injection", "Custom"): 1}
    assert set(counted()) == SERIES


def test_a_flag_without_findings_is_counted(reflex_layer: ScriptedReflexLayer) -> None:
    assert added(reflex_layer, answer(pii_detected=True)) == {("pii", "Custom"): 1}
