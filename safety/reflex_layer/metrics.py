"""The metrics of the service. All labels come from fixed lists, never from a request."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from .injection import detection as injections
from .injection.rules import RULES as INJECTION_RULES
from .pii.detection import RULES as PII_RULES

OUTCOMES = ("success", "blocked", "refused", "overloaded", "error")

REGISTRY = CollectorRegistry()
REQUESTS = Counter(
    "reflex_layer_requests_total",
    "Requests to /process, by outcome.",
    ["outcome"],
    registry=REGISTRY,
)
FINDINGS = Counter(
    "reflex_layer_findings_total",
    "Findings sent in answers.",
    ["kind", "type"],
    registry=REGISTRY,
)
SECONDS = Histogram(
    "reflex_layer_screening_seconds",
    "Time to screen one text.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
    registry=REGISTRY,
)

# Start every series at 0: rate() misses the first event of a series that begins with it.
for outcome in OUTCOMES:
    REQUESTS.labels(outcome)
for pii_type in {rule.type for rule in PII_RULES}:
    FINDINGS.labels("pii", pii_type)
for injection_type in {injections.ENCODED, *(rule.type for rule in INJECTION_RULES)}:
    FINDINGS.labels("injection", injection_type)


def count_findings(findings: Mapping[tuple[str, str], int]) -> None:
    """Count findings by kind and type."""
    for (kind, finding_type), number in findings.items():
        FINDINGS.labels(kind, finding_type).inc(number)


def exposition() -> bytes:
    """Return all metrics as Prometheus text."""
    return generate_latest(REGISTRY)
