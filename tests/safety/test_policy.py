"""The verdict of the policy on findings."""

import subprocess
import sys
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety.document import Place
from safety.findings import INJECTION_TYPES, PII_TYPES, Finding, Kind, Severity
from safety.policy import Judgement, PiiAction, Policy, Verdict
from tests.environment import ROOT

BLOCK, REDACT, ALLOW = PiiAction.BLOCK, PiiAction.REDACT, PiiAction.ALLOW


def pii(name: str = "Email", *, is_replaceable: bool = True) -> Finding:
    return Finding(Kind.PII, name, places=(Place(0, 0, 3),), is_replaceable=is_replaceable)


def injection(severity: Severity, name: str = "DataExfiltration") -> Finding:
    return Finding(Kind.INJECTION, name, severity)


def judge(*findings: Finding, blocked: bool = False, **rules: Any) -> Judgement:
    return Policy(**rules).judge(findings, reflex_layer_blocks=blocked)


def blocked(*kinds: Kind) -> Judgement:
    return Judgement(Verdict.BLOCKED, frozenset(kinds))


def redacted(*findings: Finding, verdict: Verdict = Verdict.SAFE) -> Judgement:
    return Judgement(verdict, to_redact=findings)


SAFE = Judgement(Verdict.SAFE)
FLAGGED = Judgement(Verdict.FLAGGED)
EMAIL, PHONE, CUSTOM = pii(), pii("Phone"), pii("Custom")
# Its offsets are unusable, its place is in a key, or the quoted text is not there.
FIXED = pii(is_replaceable=False)
LOW, MEDIUM, HIGH, CRITICAL = map(injection, Severity)


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        pytest.param([], SAFE, id="nothing-found"),
        pytest.param([EMAIL], blocked(Kind.PII), id="pii"),
        pytest.param([CUSTOM], blocked(Kind.PII), id="unknown-pii"),
        pytest.param([LOW], FLAGGED, id="low"),
        pytest.param([MEDIUM], FLAGGED, id="a-link"),
        pytest.param([HIGH], blocked(Kind.INJECTION), id="injection"),
        pytest.param([EMAIL, CRITICAL], blocked(Kind.PII, Kind.INJECTION), id="both"),
        # Only the kinds that block are named.
        pytest.param([EMAIL, LOW], blocked(Kind.PII), id="pii-beside-a-flag"),
        pytest.param([LOW, HIGH], blocked(Kind.INJECTION), id="the-worst-of-two-counts"),
    ],
)
def test_the_default_policy(findings: list[Finding], expected: Judgement) -> None:
    assert judge(*findings) == expected


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        pytest.param([EMAIL], SAFE, id="pii"),
        pytest.param([FIXED], SAFE, id="pii-without-a-place"),
        pytest.param([EMAIL, LOW], FLAGGED, id="pii-beside-a-flag"),
        pytest.param([EMAIL, HIGH], blocked(Kind.INJECTION), id="pii-and-injection"),
    ],
)
def test_allowed_pii_is_ignored(findings: list[Finding], expected: Judgement) -> None:
    assert judge(*findings, pii=ALLOW) == expected


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        pytest.param([EMAIL], redacted(EMAIL), id="one"),
        pytest.param([EMAIL, CUSTOM, PHONE], redacted(EMAIL, CUSTOM, PHONE), id="several"),
        pytest.param([LOW, EMAIL], redacted(EMAIL, verdict=Verdict.FLAGGED), id="beside-a-flag"),
        pytest.param([EMAIL, HIGH], blocked(Kind.INJECTION), id="beside-an-injection"),
        pytest.param([FIXED], blocked(Kind.PII), id="not-replaceable"),
        pytest.param([EMAIL, FIXED], blocked(Kind.PII), id="one-of-two-not-replaceable"),
        # The finding for a flag without a match.
        pytest.param([Finding(Kind.PII, "Custom")], blocked(Kind.PII), id="without-a-place"),
    ],
)
def test_pii_is_redacted_or_blocks(findings: list[Finding], expected: Judgement) -> None:
    assert judge(*findings, pii=REDACT) == expected


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        (pii("Email"), redacted(pii("Email"))),
        (pii("Email", is_replaceable=False), blocked(Kind.PII)),
        (pii("IPv4"), SAFE),
        (pii("IPv4", is_replaceable=False), SAFE),
        (pii("SSN"), blocked(Kind.PII)),
        (pii("Custom"), blocked(Kind.PII)),
    ],
)
def test_a_type_may_have_an_action_of_its_own(finding: Finding, expected: Judgement) -> None:
    assert judge(finding, pii_by_type={"Email": REDACT, "IPv4": ALLOW}) == expected


@pytest.mark.parametrize("general", list(PiiAction))
@pytest.mark.parametrize("special", list(PiiAction))
@pytest.mark.parametrize("name", [*sorted(PII_TYPES), "Custom"])
def test_the_action_of_a_type_wins_over_the_general_one(
    name: str, special: PiiAction, general: PiiAction
) -> None:
    finding = pii(name)

    assert (
        judge(finding, pii=general, pii_by_type={name: special})
        == {
            BLOCK: blocked(Kind.PII),
            REDACT: redacted(finding),
            ALLOW: SAFE,
        }[special]
    )


def test_an_action_for_custom_pii_does_not_apply_to_custom_injections() -> None:
    finding = injection(Severity.HIGH, "Custom")

    assert judge(finding, pii_by_type={"Custom": ALLOW}) == blocked(Kind.INJECTION)
    assert judge(finding, pii_by_type={"Custom": REDACT}) == blocked(Kind.INJECTION)


@pytest.mark.parametrize(
    ("severity", "blocks_from", "flags_from"),
    [*product(Severity, repeat=3)],
    ids=lambda severity: severity.name,
)
def test_injections_block_from_one_severity_and_flag_from_another(
    severity: Severity, blocks_from: Severity, flags_from: Severity
) -> None:
    order = ["LOW", "MEDIUM", "HIGH", "CRITICAL"]
    at, blocks_at, flags_at = (order.index(s.name) for s in (severity, blocks_from, flags_from))

    judgement = judge(
        injection(severity), injection_blocks_from=blocks_from, injection_flags_from=flags_from
    )

    if at >= blocks_at:
        assert judgement == blocked(Kind.INJECTION)
    else:
        assert judgement == (FLAGGED if at >= flags_at else SAFE)


@pytest.mark.parametrize(
    "finding",
    [
        EMAIL,
        FIXED,
        LOW,
        CRITICAL,
        pii("Custom"),
        injection(Severity.HIGH, "Custom"),
    ],
    ids=lambda finding: f"{finding.kind}-{finding.type}-{finding.severity}",
)
@pytest.mark.parametrize("action", list(PiiAction))
def test_an_ignored_type_has_no_effect(finding: Finding, action: PiiAction) -> None:
    ignored = frozenset({finding.type})

    assert judge(finding, ignored_types=ignored, pii=action) == SAFE
    assert judge(finding, HIGH, pii("SSN"), ignored_types=ignored).verdict is Verdict.BLOCKED


def test_an_ignored_type_is_ignored_even_where_its_action_is_to_block() -> None:
    rules = {"ignored_types": frozenset({"Email"}), "pii_by_type": {"Email": BLOCK}}

    assert judge(EMAIL, **rules) == SAFE
    assert judge(EMAIL, PHONE, pii=REDACT, **rules) == redacted(PHONE)


@pytest.mark.parametrize(
    ("findings", "kinds"),
    [
        pytest.param([], [], id="no-finding"),
        pytest.param([LOW], [Kind.INJECTION], id="a-low-finding"),
        # The finding that blocks by our own rules is the better reason.
        pytest.param([EMAIL, LOW], [Kind.PII], id="pii-and-a-low-finding"),
    ],
)
def test_a_block_by_the_reflex_layer_counts(findings: list[Finding], kinds: list[Kind]) -> None:
    assert judge(*findings, blocked=True) == blocked(*kinds)


@pytest.mark.parametrize("finding", [EMAIL, CRITICAL], ids=["pii", "injection"])
def test_a_block_by_the_reflex_layer_counts_even_for_ignored_types(finding: Finding) -> None:
    ignored = frozenset({"Email", "DataExfiltration"})

    judgement = judge(finding, blocked=True, pii=ALLOW, ignored_types=ignored)

    assert judgement == blocked(finding.kind)


def test_a_blocked_text_is_not_redacted() -> None:
    assert judge(EMAIL, blocked=True, pii=REDACT).to_redact == ()


FINDINGS = st.lists(
    st.builds(
        pii,
        st.sampled_from(sorted(PII_TYPES | {"Custom"})),
        is_replaceable=st.booleans(),
    )
    | st.builds(injection, st.sampled_from(Severity), st.sampled_from(sorted(INJECTION_TYPES))),
    max_size=5,
)


@given(FINDINGS, st.randoms())
@settings(deadline=None)
def test_the_order_of_findings_does_not_matter(findings: list[Finding], random: Any) -> None:
    shuffled = random.sample(findings, len(findings))
    one, other = judge(*findings, pii=REDACT), judge(*shuffled, pii=REDACT)

    assert (one.verdict, one.blocked_for) == (other.verdict, other.blocked_for)
    assert sorted(map(repr, one.to_redact)) == sorted(map(repr, other.to_redact))


# The version

RULES: dict[str, Any] = {
    "pii": REDACT,
    "pii_by_type": {"Email": ALLOW, "SSN": BLOCK, "Phone": REDACT},
    "injection_blocks_from": Severity.MEDIUM,
    "injection_flags_from": Severity.LOW,
    "ignored_types": frozenset({"IPv4", "IPv6", "DataExfiltration"}),
}


def test_a_version_is_a_short_hash() -> None:
    assert len(Policy().version) == 12
    assert int(Policy().version, 16) >= 0


def test_the_same_rules_in_another_order_have_the_same_version() -> None:
    turned = RULES | {"pii_by_type": dict(reversed(RULES["pii_by_type"].items()))}

    assert Policy(**RULES).version == Policy(**turned).version


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_same_rules_have_the_same_version_in_another_process(seed: str) -> None:
    code = (
        "from safety.policy import *; R, A, B = PiiAction.REDACT, PiiAction.ALLOW, PiiAction.BLOCK;"
        "print(Policy(R, {'Phone': R, 'SSN': B, 'Email': A}, Severity.MEDIUM, Severity.LOW,"
        "frozenset(['DataExfiltration', 'IPv6', 'IPv4'])).version)"
    )
    printed = subprocess.check_output(
        [sys.executable, "-c", code], cwd=ROOT, env={"PYTHONHASHSEED": seed}, text=True
    )

    assert printed.strip() == Policy(**RULES).version


OTHERS: list[dict[str, Any]] = [
    {},
    RULES,
    *({"pii": action} for action in (REDACT, ALLOW)),
    *({"pii_by_type": {"Email": action}} for action in PiiAction),
    {"pii_by_type": {"Phone": BLOCK}},
    *({"injection_blocks_from": s} for s in Severity if s is not Severity.HIGH),
    *({"injection_flags_from": s} for s in Severity if s is not Severity.LOW),
    {"ignored_types": frozenset({"Email"})},
    {"ignored_types": frozenset({"Email", "Phone"})},
    {"ignored_types": frozenset({"EmailPhone"})},
]


def test_different_rules_have_different_versions() -> None:
    assert len({Policy(**rules).version for rules in OTHERS}) == len(OTHERS)
