"""What the policy makes of an answer."""

import pytest

from safety.findings import Answer, Finding, Kind, Severity
from safety.policy import Judgement, PiiAction, Policy, Verdict

EMAIL = Finding(Kind.PII, "Email")


def answer(*findings: Finding, blocked: bool = False) -> Answer:
    return Answer(blocked, findings, reflex_request_id="reflex-1", cache_hit=False)


def injection(severity: Severity) -> Finding:
    return Finding(Kind.INJECTION, "DataExfiltration", severity)


def blocked(*kinds: Kind) -> Judgement:
    return Judgement(Verdict.BLOCKED, frozenset(kinds))


SAFE = Judgement(Verdict.SAFE)
FLAGGED = Judgement(Verdict.FLAGGED)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(answer(), SAFE, id="nothing-found"),
        pytest.param(answer(EMAIL), blocked(Kind.PII), id="pii"),
        pytest.param(answer(injection(Severity.MEDIUM)), FLAGGED, id="a-link"),
        pytest.param(answer(injection(Severity.HIGH)), blocked(Kind.INJECTION), id="injection"),
        pytest.param(
            answer(EMAIL, injection(Severity.CRITICAL)),
            blocked(Kind.PII, Kind.INJECTION),
            id="both",
        ),
        # Only what blocks is named.
        pytest.param(
            answer(EMAIL, injection(Severity.LOW)), blocked(Kind.PII), id="pii-beside-a-flag"
        ),
        pytest.param(
            answer(injection(Severity.LOW), injection(Severity.HIGH)),
            blocked(Kind.INJECTION),
            id="the-worst-of-two-counts",
        ),
    ],
)
def test_the_default_policy(given: Answer, expected: Judgement) -> None:
    assert Policy().judge(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(answer(EMAIL), FLAGGED, id="pii"),
        pytest.param(
            answer(EMAIL, injection(Severity.HIGH)), blocked(Kind.INJECTION), id="pii-and-injection"
        ),
        pytest.param(answer(EMAIL, blocked=True), blocked(Kind.PII), id="blocked-by-the-layer"),
    ],
)
def test_allowed_pii_is_flagged_and_blocks_nothing(given: Answer, expected: Judgement) -> None:
    assert Policy(pii=PiiAction.ALLOW).judge(given) == expected


@pytest.mark.parametrize("border", list(Severity), ids=lambda border: f"from-{border.name}")
@pytest.mark.parametrize("severity", list(Severity), ids=lambda severity: severity.name)
def test_an_injection_blocks_from_the_border_up(border: Severity, severity: Severity) -> None:
    judgement = Policy(injection_blocks_from=border).judge(answer(injection(severity)))

    order = ["LOW", "MEDIUM", "HIGH", "CRITICAL"]
    is_over = order.index(severity.name) >= order.index(border.name)
    assert judgement == (blocked(Kind.INJECTION) if is_over else FLAGGED)


@pytest.mark.parametrize(
    ("findings", "kinds"),
    [
        pytest.param([], [], id="no-finding"),
        pytest.param([injection(Severity.LOW)], [Kind.INJECTION], id="a-low-finding"),
        # The finding that blocks by our own rules is the better reason.
        pytest.param([EMAIL, injection(Severity.LOW)], [Kind.PII], id="pii-and-a-low-finding"),
    ],
)
def test_a_reflex_layer_that_blocks_is_believed(findings: list[Finding], kinds: list[Kind]) -> None:
    assert Policy().judge(answer(*findings, blocked=True)) == blocked(*kinds)
