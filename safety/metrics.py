"""The metrics of the gate."""

from prometheus_client import Counter, Gauge, Histogram

from safety.findings import CUSTOM_TYPE, INJECTION_TYPES, PII_TYPES, Kind

REFLEX_CALLS = Counter(
    "octollm_orchestrator_reflex_calls_total",
    "Reflex Layer API calls",
    ["result"],
)
SCREENING_SECONDS = Histogram(
    "octollm_orchestrator_screening_duration_seconds",
    "Duration of a screening, with or without an answer",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
CIRCUIT_STATE = Gauge(
    "octollm_orchestrator_circuit_state",
    "1 for the current state of this process's circuit, else 0",
    ["state"],
    # Each process has its own circuit; the state of a dead process must disappear.
    multiprocess_mode="liveall",
)
PROBES = Counter(
    "octollm_orchestrator_reflex_probes_total",
    "Probes of the Reflex Layer, by result",
    ["result"],
)
LAST_SEEN = Gauge(
    "octollm_orchestrator_reflex_last_seen_timestamp_seconds",
    "Unix time of this process's last call to the Reflex Layer with this result",
    ["result"],
    multiprocess_mode="liveall",
)
FINDINGS = Counter(
    "octollm_orchestrator_findings_total",
    "Findings of the Reflex Layer, by kind and type",
    ["kind", "type"],
)
UNSCREENED = Counter(
    "octollm_orchestrator_unscreened_submissions_total",
    "Submissions accepted while the Reflex Layer integration was switched off",
)
UNSCREENED_ANSWERS = Counter(
    "octollm_orchestrator_unscreened_answers_total",
    "Answers of arms accepted while the Reflex Layer integration was switched off",
)

for result in ("safe", "flagged", "blocked", "no_verdict", "circuit_open"):
    REFLEX_CALLS.labels(result)
for result in ("passed", "failed"):
    PROBES.labels(result)
for kind, types in ((Kind.PII, PII_TYPES), (Kind.INJECTION, INJECTION_TYPES)):
    for name in (*types, CUSTOM_TYPE):
        FINDINGS.labels(kind, name)
