"""How ordinary and odd findings in an answer lead to a verdict."""

import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety.document import Document, Place
from safety.exceptions import NoVerdict
from safety.findings import Severity
from safety.gate import ReflexGate
from safety.policy import PiiAction, Policy, Verdict
from safety.reflex_client.client import ReflexClient
from safety.reflex_client.guarded import GuardedClient
from safety.screening import Screening
from tests.reflex_layer import (
    ScriptedReflexLayer,
    answer,
    found,
    in_turn,
    injection,
    pii,
    says,
)
from tests.safety.reflex_client.json_values import JSON

# Except for the blank, each character of a value occurs only once, so a test can search for it.
FIELDS: dict[str, Any] = {
    "goal": "a b é€😀 c",
    "constraints": ["d日ef", "ghi"],
    "context": {"LMN": "jk", "PQR": [{"XYZ": 1234567890}, True, None, "op"]},
}
DOCUMENT = Document(FIELDS)
STRICT = Policy(injection_blocks_from=Severity.LOW)
REDACTING = Policy(pii=PiiAction.REDACT, injection_blocks_from=Severity.LOW)


@pytest.fixture(scope="module")
def peer() -> Iterator[ScriptedReflexLayer]:
    with ScriptedReflexLayer() as scripted:
        yield scripted


@functools.cache
def client_of(url: str) -> ReflexClient:
    return ReflexClient(url=url, connections=1)


def screen(peer: ScriptedReflexLayer, sent: Any, policy: Policy) -> Screening:
    """Have the document screened by a peer that sends `sent`, and then only clean answers."""
    peer.behaviour = in_turn(says(sent), says(answer()))
    gate = ReflexGate(
        client=GuardedClient(
            client_of(peer.url),
            failures=10**9,
            reset_seconds=60,
            probe_deadline_seconds=20,
        ),
        policy=policy,
        deadline_seconds=20,
    )
    return gate.screen(DOCUMENT, request_id="request-1")


def stored(screening: Screening) -> dict[str, Any]:
    """Return the fields as they would be stored."""
    document = screening.redaction.document if screening.redaction else screening.document
    return dict(document.fields)


def outcome(peer: ScriptedReflexLayer, sent: Any, policy: Policy) -> Any:
    """Return what would be stored, or why nothing would."""
    try:
        screening = screen(peer, sent, policy)
    except NoVerdict:
        return "no verdict"
    return "blocked" if screening.verdict is Verdict.BLOCKED else stored(screening)


def sends(*matches: Any, **fields: Any) -> dict[str, Any]:
    return answer(pii_detected=True, pii_matches=list(matches)) | fields


def finds(quoted: str, name: Any = "Email", **fields: Any) -> dict[str, Any]:
    return found(DOCUMENT.text, quoted, name, **fields)


def changed(**fields: Any) -> dict[str, Any]:
    return FIELDS | fields


# Redaction


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        pytest.param(finds("b"), changed(goal="a [EMAIL] é€😀 c"), id="ascii"),
        pytest.param(finds("€😀"), changed(goal="a b [EMAIL] c"), id="any-unicode"),
        pytest.param(finds("ghi", "SSN"), changed(constraints=["d日ef", "[SSN]"]), id="list"),
        pytest.param(
            finds("jk", {"Custom": "jk"}),
            changed(context=FIELDS["context"] | {"LMN": "[PII]"}),
            id="custom",
        ),
        pytest.param(
            finds("234", "CreditCard"),
            changed(
                context={"LMN": "jk", "PQR": [{"XYZ": "[CREDITCARD]"}, True, None, "op"]},
            ),
            id="number",
        ),
        # A finding over two fields is redacted in both.
        pytest.param(
            finds("c\nd日", "Phone"),
            changed(goal="a b é€😀 [PHONE]", constraints=["[PHONE]", "ghi"]),
            id="two-fields",
        ),
        pytest.param(finds("LMN"), "blocked", id="key"),
        pytest.param(finds("LMN: jk"), "blocked", id="key-and-value"),
        pytest.param(finds(": "), "blocked", id="separator"),
        pytest.param(finds("a b", start=1), "blocked", id="wrong-start"),
        pytest.param(finds("a b", end=5), "blocked", id="middle-of-a-character"),
        pytest.param(finds("a b", start=2, end=0), "blocked", id="reversed"),
        pytest.param(finds("a b", start=-2), "blocked", id="negative"),
        pytest.param(finds("a b", end=10**30), "blocked", id="outside"),
        pytest.param(finds("a b", start=0.0), "blocked", id="fraction"),
        pytest.param(finds("a b", start="0"), "blocked", id="text"),
        pytest.param(finds("a b", start=None, end=None), "blocked", id="none"),
        pytest.param(finds(DOCUMENT.text, start=None, end=None), "blocked", id="whole-and-none"),
        pytest.param(finds("a b", start=0, end=0, matched_text=""), "blocked", id="empty"),
        pytest.param(finds("a b", matched_text="a*"), "blocked", id="masked"),
        pytest.param(finds("a b", matched_text=None), "blocked", id="no-text"),
        # The peer counts characters instead of bytes.
        pytest.param(finds("c", start=8, end=9), "blocked", id="characters"),
        pytest.param({}, "blocked", id="empty-match"),
        pytest.param(
            {"pii_type": "Email", "value": "a b", "position": 0}, "blocked", id="document"
        ),
        pytest.param("a b", "no verdict", id="no-object"),
    ],
)
def test_a_finding_is_redacted_or_blocks_or_gives_no_verdict(
    peer: ScriptedReflexLayer, match: Any, expected: Any
) -> None:
    assert outcome(peer, sends(match), REDACTING) == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(answer(), FIELDS, id="clean"),
        pytest.param(answer(status="blocked"), "blocked", id="blocked-without-findings"),
        pytest.param(answer(pii_detected=True), "blocked", id="flag-alone"),
        pytest.param(answer(injection_detected=True), "blocked", id="injection-flag-alone"),
        pytest.param(injection("Odd"), "blocked", id="unknown-severity"),
        pytest.param(sends({}, status="ratelimited"), "no verdict", id="rate-limit"),
        pytest.param(sends(finds("a b"), status="odd"), "no verdict", id="unknown-status"),
        pytest.param(answer(pii_matches={}), "no verdict", id="wrong-shape"),
        pytest.param(answer(pii_matches=[{}] * 10_001), "blocked", id="too-many"),
        pytest.param(b" " * 50 * 2**20, "no verdict", id="50-mib"),
        pytest.param(b"PII ab", "no verdict", id="no-json"),
    ],
)
@pytest.mark.parametrize("policy", [STRICT, REDACTING], ids=["block", "redact"])
def test_an_odd_answer_is_handled_safely(
    peer: ScriptedReflexLayer, sent: Any, expected: Any, policy: Policy
) -> None:
    assert outcome(peer, sent, policy) == expected


def test_matches_without_their_flag_are_redacted(peer: ScriptedReflexLayer) -> None:
    sent = sends(finds("ghi"), pii_detected=False)

    assert outcome(peer, sent, REDACTING) == changed(constraints=["d日ef", "[EMAIL]"])


def test_only_types_that_the_policy_redacts_are_redacted(peer: ScriptedReflexLayer) -> None:
    policy = Policy(pii=PiiAction.ALLOW, pii_by_type={"Email": PiiAction.REDACT})

    screening = screen(peer, sends(finds("ghi"), finds("a b", "IPv4")), policy)

    assert stored(screening) == changed(constraints=["d日ef", "[EMAIL]"])
    assert screening.redacted_types == ("Email",)


def test_each_redacted_type_is_named_once(peer: ScriptedReflexLayer) -> None:
    sent = sends(finds("op", "SSN"), finds("ghi"), finds("a b"), finds("jk", {"Custom": "jk"}))

    assert screen(peer, sent, REDACTING).redacted_types == ("Custom", "Email", "SSN")


def test_a_finding_has_its_places_and_no_text(peer: ScriptedReflexLayer) -> None:
    (finding,) = screen(peer, sends(finds("c\nd日")), STRICT).findings

    assert finding.places == (Place(0, 8, 9), Place(1, 0, 2))
    assert "日" not in repr(finding)


def test_ten_thousand_findings_are_accepted(peer: ScriptedReflexLayer) -> None:
    match = finds("ghi") | {"confidence": 1}

    screening = screen(peer, sends(*[match] * 10_000), REDACTING)

    assert len(screening.findings) == 10_000
    assert stored(screening) == changed(constraints=["d日ef", "[EMAIL]"])


def test_findings_over_the_whole_text_do_not_exhaust_the_memory(peer: ScriptedReflexLayer) -> None:
    match = {"pii_type": "Email", "start": 0, "end": DOCUMENT.size_bytes}

    screening = screen(peer, sends(*[match] * 10_000), REDACTING)

    assert screening.verdict is Verdict.BLOCKED
    assert sum(len(finding.places) for finding in screening.findings) <= 20_000


def test_too_many_findings_block(peer: ScriptedReflexLayer) -> None:
    screening = screen(peer, sends(*[{}] * 10_001), STRICT)

    assert (screening.verdict, screening.reason) == (Verdict.BLOCKED, "too many findings")
    assert screening.duration_seconds > 0


# Random answers

OFFSETS = st.integers(-2, DOCUMENT.size_bytes + 2) | JSON
EXACT = st.builds(
    lambda start, size: finds(DOCUMENT.text[start : start + size]),
    st.integers(0, len(DOCUMENT.text) - 1),
    st.integers(1, 6),
)
ODD = st.fixed_dictionaries(
    {},
    optional={
        "pii_type": st.sampled_from(["Email", "SSN", {"Custom": "<b>"}, "Odd"]) | JSON,
        "injection_type": JSON,
        "severity": st.sampled_from(["Low", "High"]) | JSON,
        "start": OFFSETS,
        "end": OFFSETS,
        "matched_text": st.sampled_from(["a b", "", DOCUMENT.text]) | JSON,
        "value": JSON,
        "confidence": JSON,
    },
)
MATCHES = st.lists(EXACT | ODD | st.builds(lambda a, b: a | b, EXACT, ODD), max_size=4)
ANSWERS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["success"] * 8 + ["Blocked", "error", "ratelimited", "odd"]),
        "pii_detected": st.booleans(),
        "pii_matches": st.lists(EXACT, max_size=4) | MATCHES | JSON,
        "injection_detected": st.just(False) | st.booleans(),
        "injection_matches": st.just([]) | MATCHES | JSON,
    }
)


@given(ANSWERS)
@settings(deadline=None)
def test_when_pii_blocks_an_answer_with_any_finding_is_not_accepted(
    peer: ScriptedReflexLayer, sent: Any
) -> None:
    is_clean = sent["status"] == "success" and not any(
        sent[name] for name in sent if name != "status"
    )

    assert (outcome(peer, sent, STRICT) == FIELDS) <= is_clean


@given(ANSWERS)
@settings(deadline=None, max_examples=300)
def test_when_pii_is_redacted_no_matched_text_is_stored(
    peer: ScriptedReflexLayer, sent: Any
) -> None:
    after = outcome(peer, sent, REDACTING)

    if isinstance(after, str):
        return
    raw = DOCUMENT.text.encode()
    left = "".join(piece.text for piece in Document(after).pieces if not piece.is_key)
    assert not sent["pii_detected"] or sent["pii_matches"]
    assert not sent["injection_detected"]
    assert sent["injection_matches"] == []
    for match in sent["pii_matches"]:
        matched = raw[match["start"] : match["end"]].decode()
        assert matched == match.get("matched_text", match.get("value"))
        assert not {*matched} - {" "} & {*left}


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
@settings(deadline=None)
def test_a_body_that_is_not_an_answer_gives_no_verdict(
    peer: ScriptedReflexLayer, body: bytes
) -> None:
    assert outcome(peer, body, STRICT) == "no verdict"


def test_the_sample_answers_of_other_tests_are_not_replaceable(peer: ScriptedReflexLayer) -> None:
    assert outcome(peer, pii(), REDACTING) == "blocked"
