"""Whether the quoted text of a match is at its offsets, and how many matches are allowed."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety.findings import Answer, Kind, Match, Severity
from safety.outbound.exceptions import AnswerTooLong, ServiceFault, UnusableAnswer
from safety.reflex_client.protocol import parse_answer
from tests.reflex_layer import answer, found, injection
from tests.safety.reflex_client.json_values import TEXT

GREETING = "Grüße an jane@b.c, 世界 und jim@b.c"
LONG_NAMES = [
    pytest.param("PLANTED" * 1500, id="10-kB"),
    pytest.param("<script>PLANTED</script>", id="markup"),
    pytest.param("PLANTED\x00\ud800", id="no-text"),
]


def parse(data: Any, text: str) -> Answer:
    return parse_answer(json.dumps(data).encode(), text)


def is_certain(text: str, **fields: Any) -> bool:
    (match,) = parse(answer(pii_matches=[{"pii_type": "Email"} | fields]), text).matches
    return match.is_certain


@given(TEXT, st.data())
@settings(deadline=None)
def test_a_match_is_certain_where_its_text_is(text: str, data: Any) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    first = len(text[:start].encode())
    fields = {"start": first, "end": first + len(text[start:end].encode())}

    assert is_certain(text, **fields, matched_text=text[start:end])
    assert is_certain(text, **fields, value=text[start:end])


@given(TEXT, st.integers(-1, 50), st.integers(-1, 50), TEXT)
@settings(deadline=None)
def test_a_match_is_certain_nowhere_else(text: str, start: int, end: int, quoted: str) -> None:
    stands = start >= 0 <= end and text.encode()[start:end] == quoted.encode()

    assert is_certain(text, start=start, end=end, matched_text=quoted) == stands


def test_offsets_count_bytes() -> None:
    in_bytes = found(GREETING, "jane@b.c")
    in_characters = in_bytes | {"start": 9, "end": 17}

    assert (in_bytes["start"], in_bytes["end"]) == (11, 19)
    assert is_certain(GREETING, **in_bytes)
    assert not is_certain(GREETING, **in_characters)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"matched_text": None}, id="null"),
        pytest.param({"matched_text": ""}, id="empty"),
        pytest.param({"matched_text": 7}, id="number"),
        pytest.param({"matched_text": ["jane@b.c"]}, id="list"),
        pytest.param({"matched_text": "jane@b.d"}, id="another"),
        pytest.param({"matched_text": "jane@b.c "}, id="longer"),
        pytest.param({"matched_text": "JANE@B.C"}, id="another-case"),
        pytest.param({"matched_text": "j***"}, id="masked"),
        pytest.param({"matched_text": "\ud800"}, id="lone-surrogate"),
        pytest.param({"matched_text": "x", "value": "jane@b.c"}, id="contradicted"),
        pytest.param({"start": None}, id="no-start"),
        pytest.param({"end": None}, id="no-end"),
        pytest.param({"start": "11"}, id="text-for-start"),
        pytest.param({"start": 11.0}, id="fraction"),
        pytest.param({"start": 19, "end": 11}, id="reversed"),
        pytest.param({"start": -28, "end": -20}, id="negative"),
        pytest.param({"start": 10**30}, id="outside"),
    ],
)
def test_a_match_that_does_not_fit_is_not_certain(fields: dict[str, Any]) -> None:
    assert not is_certain(GREETING, **found(GREETING, "jane@b.c") | fields)


def test_a_match_without_its_text_is_not_certain() -> None:
    assert not is_certain(GREETING, start=11, end=19)


def test_the_whole_text_without_offsets_is_not_certain() -> None:
    assert not is_certain(GREETING, matched_text=GREETING)


def test_a_lone_surrogate_matches_no_other_character() -> None:
    assert not is_certain("a?b", start=0, end=3, matched_text="a\ud800b")


def test_a_flag_without_a_match_is_not_certain() -> None:
    (match,) = parse(answer(pii_detected=True), "").matches

    assert not match.is_certain


def test_an_injection_may_be_certain_too() -> None:
    (match,) = parse(injection("Low", matched_text="Grü", end=4), GREETING).matches

    assert match == Match(
        Kind.INJECTION, "DataExfiltration", Severity.LOW, 0.8, start=0, end=4, is_certain=True
    )


# Many, long and odd


@pytest.mark.parametrize("field", ["pii_matches", "injection_matches"])
def test_ten_thousand_matches_are_read(field: str) -> None:
    assert len(parse(answer(**{field: [{}] * 10_000}), "").matches) == 10_000


@pytest.mark.parametrize("field", ["pii_matches", "injection_matches"])
def test_more_matches_are_too_many(field: str) -> None:
    with pytest.raises(AnswerTooLong) as caught:
        parse(answer(**{field: [{}] * 10_001}), "")

    assert caught.value.reason == "too many findings"
    assert not isinstance(caught.value, ServiceFault)


@pytest.mark.parametrize("name", LONG_NAMES)
@pytest.mark.parametrize("is_object", [True, False], ids=["custom", "unknown"])
def test_a_type_name_of_the_peer_is_dropped(name: str, is_object: bool) -> None:
    own = {"Custom": name} if is_object else name
    read = parse(
        answer(
            request_id=name,
            pii_matches=[{"pii_type": own, name: name}],
            injection_matches=[{"injection_type": own, "severity": own, "indicators": [own]}],
        ),
        GREETING,
    )

    assert [match.type for match in read.matches] == ["Custom", "Custom"]
    assert "PLANTED" not in repr(read)


def test_an_answer_with_a_duplicate_key_is_unusable() -> None:
    body = (
        b'{"status":"blocked","pii_detected":true,"pii_matches":[],"injection_detected":false,'
        b'"injection_matches":[],"pii_detected":false,"status":"success"}'
    )
    with pytest.raises(UnusableAnswer):
        parse_answer(body, "text")
