"""Which answers of the Reflex Layer are accepted, and how they are parsed."""

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety.findings import INJECTION_TYPES, PII_TYPES, Answer, Kind, Match, Severity
from safety.outbound.exceptions import CallFailed, RateLimited, ServerFault, UnusableAnswer
from safety.reflex_client.protocol import parse_answer
from tests.reflex_layer import answer, injection, pii

SECRET = "sk-planted-4111111111111111"


def both(pii_match: Any, injection_match: Any, **fields: Any) -> dict[str, Any]:
    return answer(
        pii_detected=True,
        pii_matches=[pii_match],
        injection_detected=True,
        injection_matches=[injection_match],
        **fields,
    )


# Two findings in one text, in the format on the wire and in that of the documents.
TEXT = {"matched_text": SECRET}
SSN = {"pii_type": "SSN", "confidence": 0.5}
DAN = {"injection_type": "DANVariant", "confidence": 1}
ON_THE_WIRE = both(
    SSN | TEXT | {"start": 4, "end": 15},
    DAN | TEXT | {"start": 20, "end": 30, "severity": "High", "indicators": [SECRET]},
)
IN_ITS_DOCUMENTS = both(
    SSN | {"value": SECRET, "position": 4, "context": SECRET},
    DAN | TEXT | {"position": 20, "severity": "high", "context_analysis": {"around": SECRET}},
    status="Success",
)


def parse(data: Any, text: str = "a text") -> Answer:
    return parse_answer(json.dumps(data).encode(), text)


def match(data: Any) -> Match:
    (found,) = parse(data).matches
    return found


def test_a_clean_answer() -> None:
    assert parse(answer()) == Answer(blocked=False, matches=(), reflex_request_id="reflex-1")


def test_the_format_on_the_wire() -> None:
    assert parse(ON_THE_WIRE).matches == (
        Match(Kind.PII, "SSN", confidence=0.5, start=4, end=15),
        Match(Kind.INJECTION, "DANVariant", Severity.HIGH, confidence=1.0, start=20, end=30),
    )


def test_the_format_in_the_documents() -> None:
    assert parse(IN_ITS_DOCUMENTS).matches == (
        Match(Kind.PII, "SSN", confidence=0.5),
        Match(Kind.INJECTION, "DANVariant", Severity.HIGH, confidence=1.0),
    )


@pytest.mark.parametrize("word", ["success", "Success", "SUCCESS"])
def test_a_success_status_does_not_block(word: str) -> None:
    assert parse(answer(status=word)).blocked is False


@pytest.mark.parametrize("word", ["blocked", "Blocked"])
def test_a_blocked_status_is_read(word: str) -> None:
    assert parse(answer(status=word)).blocked is True


@pytest.mark.parametrize("word", ["ratelimited", "RateLimited", "rate_limited", "Rate-Limited"])
def test_a_rate_limit_in_a_200_is_not_a_clean_text(word: str) -> None:
    with pytest.raises(RateLimited) as caught:
        parse(answer(status=word))

    assert (caught.value.reason, caught.value.retry_after_seconds) == ("rate limited", 60)


@pytest.mark.parametrize("word", ["error", "Error"])
def test_an_error_in_a_200_is_a_server_fault(word: str) -> None:
    with pytest.raises(ServerFault):
        parse(answer(status=word))


@pytest.mark.parametrize(
    "status", ["", "ok", "success2", "not success", "succès", "успех success", None, True, 1, []]
)
def test_an_unknown_status_is_no_verdict(status: Any) -> None:
    with pytest.raises(UnusableAnswer) as caught:
        parse(answer(status=status))

    assert caught.value.reason == "unknown status"


@pytest.mark.parametrize("name", sorted(PII_TYPES))
def test_a_pii_type_keeps_its_name(name: str) -> None:
    assert match(pii(name)) == Match(Kind.PII, name, confidence=0.9, start=0, end=3)


@pytest.mark.parametrize("name", sorted(INJECTION_TYPES))
def test_an_injection_type_keeps_its_name(name: str) -> None:
    assert match(injection(injection_type=name)) == Match(
        Kind.INJECTION, name, Severity.HIGH, confidence=0.8, start=0, end=3
    )


UNKNOWN_TYPES = [
    pytest.param({"Custom": SECRET}, id="custom"),
    pytest.param(SECRET, id="unknown"),
    pytest.param("ssn", id="another-case"),
    pytest.param(None, id="null"),
    pytest.param([SECRET], id="list"),
    pytest.param(5, id="number"),
]


@pytest.mark.parametrize("name", UNKNOWN_TYPES)
def test_any_other_pii_type_is_custom(name: Any) -> None:
    assert match(pii(name)) == Match(Kind.PII, "Custom", confidence=0.9, start=0, end=3)


@pytest.mark.parametrize("name", UNKNOWN_TYPES)
def test_any_other_injection_type_is_custom(name: Any) -> None:
    assert match(injection(injection_type=name)) == Match(
        Kind.INJECTION, "Custom", Severity.HIGH, confidence=0.8, start=0, end=3
    )


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        *[(severity.name.capitalize(), severity) for severity in Severity],
        *[(severity.name.lower(), severity) for severity in Severity],
        *[
            pytest.param(word, Severity.CRITICAL, id=f"unknown-{word!r:.20}")
            for word in ("", "Severe", "high ", None, 1, True, ["Low"], {"Low": 1})
        ],
    ],
)
def test_an_unknown_severity_is_the_worst(word: Any, severity: Severity) -> None:
    assert match(injection(severity=word)).severity is severity


def test_a_missing_severity_is_the_worst() -> None:
    data = injection()
    del data["injection_matches"][0]["severity"]

    assert match(data).severity is Severity.CRITICAL


def test_a_flag_without_matches_counts() -> None:
    assert parse(answer(pii_detected=True, injection_detected=True)).matches == (
        Match(Kind.PII, "Custom"),
        Match(Kind.INJECTION, "Custom", Severity.CRITICAL),
    )


def test_matches_without_a_flag_count() -> None:
    data = ON_THE_WIRE | {"pii_detected": False, "injection_detected": False}

    assert parse(data).matches == parse(ON_THE_WIRE).matches


FIELDS = ["status", "pii_detected", "pii_matches", "injection_detected", "injection_matches"]


@pytest.mark.parametrize("field", FIELDS)
def test_an_answer_without_a_field_is_unusable(field: str) -> None:
    data = answer()
    del data[field]

    with pytest.raises(UnusableAnswer):
        parse(data)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [None, "false", 0, 1.5, {}], ids=repr)
def test_a_field_of_the_wrong_type_is_unusable(field: str, value: Any) -> None:
    with pytest.raises(UnusableAnswer):
        parse(answer(**{field: value}))


@pytest.mark.parametrize("field", ["pii_matches", "injection_matches"])
@pytest.mark.parametrize("match", [None, SECRET, 1, []], ids=["null", "string", "number", "list"])
def test_a_match_that_is_not_an_object_is_unusable(field: str, match: Any) -> None:
    with pytest.raises(UnusableAnswer):
        parse(answer(**{field: [match]}))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>502</html>", id="html"),
        pytest.param(b'{"status": "success"', id="cut-off"),
        pytest.param(json.dumps(answer()).encode() + b"{}", id="two-documents"),
        pytest.param(b"\xff\xfe\xfa\xfb", id="no-encoding"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'"success"', id="string"),
        pytest.param(b"1", id="number"),
        pytest.param(b"9" * 5000, id="more-digits-than-python-reads"),
        pytest.param(b"[" * 100_000, id="open-lists"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="nested-objects"),
    ],
)
def test_a_body_that_is_not_a_json_object_is_unusable(body: bytes) -> None:
    with pytest.raises(UnusableAnswer):
        parse_answer(body, "a text")


@pytest.mark.parametrize("field", ["confidence", "severity", "injection_type", "start"])
def test_any_depth_of_nesting_is_handled(field: str) -> None:
    template = json.dumps(injection(**{field: "@"}))

    # Near the interpreter's recursion limit, a value that can be parsed may be too deep for repr.
    for depth in [*range(800, 1000), 100_000]:
        body = template.replace('"@"', "[" * depth + "]" * depth).encode()
        with contextlib.suppress(UnusableAnswer):
            assert len(parse_answer(body, "a text").matches) == 1


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("0.25", 0.25),
        ("0", 0.0),
        ("1", 1.0),
        ("-0.5", 0.0),
        ("1.5", 1.0),
        pytest.param("1" + "0" * 400, 1.0, id="huge"),
        pytest.param("-1" + "0" * 400, 0.0, id="huge-negative"),
        ("1e999", 1.0),
        ("NaN", None),
        ("null", None),
        ("true", None),
        ('"0.5"', None),
        ("[0.5]", None),
    ],
)
def test_a_confidence_is_from_0_to_1_or_none(sent: str, read: float | None) -> None:
    body = json.dumps(pii(confidence="@")).replace('"@"', sent).encode()

    (found,) = parse_answer(body, "a text").matches

    assert (found.confidence, type(found.confidence)) == (read, type(read))


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (0, 0),
        (99_999, 99_999),
        (100_000, 100_000),
        # A value far outside any text might not fit into a receipt's column.
        (100_001, None),
        pytest.param(10**400, None, id="huge"),
        (-1, None),
        (1.0, None),
        (True, None),
        ("1", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("field", ["start", "end"])
def test_an_offset_is_within_the_largest_text_or_none(
    field: str, sent: Any, read: int | None
) -> None:
    value = getattr(match(pii(**{field: sent})), field)

    assert (value, type(value)) == (read, type(read))


def test_reversed_offsets_are_kept_as_sent() -> None:
    found = match(pii(start=9, end=2))

    assert (found.start, found.end) == (9, 2)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("0f8a-1:b.c_d", "0f8a-1:b.c_d"),
        pytest.param("a" * 64, "a" * 64, id="longest"),
        pytest.param("a" * 65, "", id="too-long"),
        ("", ""),
        ("two words", ""),
        ("line\n", ""),
        ("идентификатор", ""),
        (None, ""),
        (7, ""),
    ],
)
def test_a_request_id_is_a_short_word_or_empty(sent: Any, read: str) -> None:
    assert parse(answer(request_id=sent)).reflex_request_id == read


def test_an_answer_without_cache_hit_is_accepted() -> None:
    sent = answer()
    del sent["cache_hit"]

    assert parse(sent).matches == ()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(ON_THE_WIRE, id="on-the-wire"),
        pytest.param(IN_ITS_DOCUMENTS, id="in-its-documents"),
        pytest.param(pii({"Custom": SECRET}), id="custom-type"),
        pytest.param(pii(SECRET, **{SECRET: SECRET}), id="unknown-field"),
        pytest.param(injection(severity=SECRET, injection_type=SECRET), id="severity"),
        pytest.param(answer(request_id=f"{SECRET} {SECRET}", note=SECRET), id="top-level"),
    ],
)
def test_an_answer_contains_no_part_of_the_text(data: Any) -> None:
    assert SECRET not in repr(parse(data))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(SECRET, id="no-object"),
        pytest.param(answer(status=SECRET), id="status"),
        pytest.param(answer(status="error", message=SECRET), id="error"),
        pytest.param(answer(pii_matches=[SECRET]), id="match"),
        pytest.param(answer(injection_matches=SECRET), id="matches"),
    ],
)
def test_a_refusal_quotes_no_part_of_the_answer(data: Any) -> None:
    with pytest.raises(CallFailed) as caught:
        parse(data)

    error = caught.value
    assert SECRET not in error.reason + str(error) + repr(error) + repr(error.args)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
MATCHES = st.lists(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            "pii_type injection_type severity confidence start end matched_text".split(), JSON
        ),
    ),
    max_size=3,
)
ANSWERS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["success", "Blocked"]),
        "pii_detected": st.booleans(),
        "pii_matches": MATCHES,
        "injection_detected": st.booleans(),
        "injection_matches": MATCHES,
    }
)


@given(JSON | st.dictionaries(st.sampled_from(list(answer())), JSON))
@settings(deadline=None)
def test_any_json_is_an_answer_or_a_failed_call(data: Any) -> None:
    with contextlib.suppress(CallFailed):
        assert isinstance(parse(data), Answer)


@given(st.binary())
@settings(deadline=None)
def test_random_bytes_are_not_an_answer(body: bytes) -> None:
    with pytest.raises(CallFailed):
        parse_answer(body, "a text")


@given(ANSWERS)
@settings(deadline=None)
def test_any_matches_are_findings_with_values_in_their_ranges(data: dict[str, Any]) -> None:
    findings = parse(data).matches

    assert len([f for f in findings if f.kind is Kind.PII]) == max(
        len(data["pii_matches"]), data["pii_detected"]
    )
    for found in findings:
        assert found.type in PII_TYPES | INJECTION_TYPES | {"Custom"}
        assert (found.severity is None) == (found.kind is Kind.PII)
        assert found.confidence is None or 0 <= found.confidence <= 1
        assert not math.isnan(found.confidence or 0)
