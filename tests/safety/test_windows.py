"""Texts that are too long for one call, with peers that search for patterns."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety.document import MAX_ANSWER_TEXT_BYTES, MAX_TEXT_BYTES, Document
from safety.exceptions import NoVerdict, TooManyFindings
from safety.findings import Answer, Kind, Match, Severity
from safety.policy import PiiAction, Policy, Verdict
from safety.reflex_client.protocol import MAX_MATCHES
from safety.screening import Screening, screen
from safety.windows import HALF_BYTES, NEAR_BYTES, OVERLAP_BYTES, answers

EMAIL = "jane.doe@example.org"
REDACTING = Policy(pii=PiiAction.REDACT)
MEBIBYTE = 1_048_576


class Peer:
    """Finds a pattern in what it is asked about, as the Reflex Layer does: by bytes.

    Attributes:
        texts: what it was asked about.
    """

    def __init__(self, pattern: str = re.escape(EMAIL), **fields: Any) -> None:
        self.pattern = re.compile(pattern.encode())
        self.fields = {"kind": Kind.PII, "type": "Email", "is_certain": True} | fields
        self.texts: list[str] = []

    def __call__(self, text: str) -> Answer:
        self.texts.append(text)
        encoded = text.encode()
        assert 1 <= len(encoded) <= MAX_TEXT_BYTES
        matches = (
            Match(start=found.start(), end=found.end(), **self.fields)
            for found in self.pattern.finditer(encoded)
        )
        return Answer(blocked=False, matches=tuple(matches), reflex_request_id=str(len(self.texts)))


def document_of(value: Any) -> Document:
    return Document({"result": value}, max_text_bytes=MAX_ANSWER_TEXT_BYTES)


def screening_of(
    value: Any, peer: Callable[[str], Answer], policy: Policy = REDACTING
) -> Screening:
    return screen(document_of(value), ask=peer, policy=policy)


def result_of(screening: Screening) -> Any:
    """Return the value that would be stored."""
    assert screening.verdict is not Verdict.BLOCKED
    return (screening.redaction.document if screening.redaction else screening.document).fields[
        "result"
    ]


def found_in(screening: Screening) -> list[tuple[int, int]]:
    """Return the characters of each finding, which must lie in one piece."""
    places = [place for finding in screening.findings for place in finding.places]
    assert len(places) == len(screening.findings)
    return [(place.start, place.end) for place in places]


def placed(text: str, secret: str, at_byte: int) -> tuple[str, int]:
    """Return `text` with `secret` at this byte or soon after, and its place in characters."""
    encoded = text.encode()
    while encoded[at_byte] & 0b1100_0000 == 0b1000_0000:
        at_byte += 1
    before = encoded[:at_byte].decode()
    return before + secret + encoded[at_byte:].decode(), len(before)


# Windows


@given(
    st.text(st.sampled_from("aé€😀 \n"), min_size=1, max_size=5),
    st.integers(2 * MAX_TEXT_BYTES, 3 * MAX_TEXT_BYTES),
)
@settings(deadline=None, max_examples=50)
def test_windows_cover_every_text_and_overlap(unit: str, size_bytes: int) -> None:
    # With numbers, so that each window is at one place of the text only.
    units = range(size_bytes // len(unit.encode()))
    text = "".join(f"{unit}{number}" for number in units)
    peer = Peer()

    list(answers(text, ask=peer))

    encoded, end = text.encode(), 0
    for window in peer.texts:
        start = encoded.index(window.encode())
        assert start == end == 0 or OVERLAP_BYTES <= end - start <= OVERLAP_BYTES + NEAR_BYTES
        end = start + len(window.encode())
    assert end == len(encoded)


@pytest.mark.parametrize("character", ["a", "é", "€", "😀"])
@pytest.mark.parametrize("distance", [-30, -21, -20, -19, -10, -3, -2, -1, 0, 1, 2, 3, 30])
def test_a_finding_across_the_end_of_a_window_is_found_once_and_redacted(
    character: str, distance: int
) -> None:
    text, start = placed(character * 2 * MAX_TEXT_BYTES, f" {EMAIL} ", MAX_TEXT_BYTES + distance)

    screening = screening_of(text, Peer())

    assert found_in(screening) == [(start + 1, start + 1 + len(EMAIL))]
    assert result_of(screening) == text.replace(EMAIL, "[EMAIL]")


@pytest.mark.parametrize("distance", range(-40, 5))
def test_a_finding_without_blanks_around_it_is_found_across_the_end_too(distance: int) -> None:
    text, start = placed("日" * 60_000, EMAIL, MAX_TEXT_BYTES + distance)

    assert found_in(screening_of(text, Peer())) == [(start, start + len(EMAIL))]


@pytest.mark.parametrize("distance", [0, 400, 980, 1_000, 1_020, 1_199, 1_200, 1_220])
def test_a_finding_in_the_overlap_is_found_once(distance: int) -> None:
    text, start = placed("é" * MAX_TEXT_BYTES, f" {EMAIL} ", MAX_TEXT_BYTES - distance)

    assert found_in(screening_of(text, Peer())) == [(start + 1, start + 1 + len(EMAIL))]


@pytest.mark.parametrize("size", [OVERLAP_BYTES, 3_200, HALF_BYTES - 2 * NEAR_BYTES])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_long_finding_that_a_window_cuts_off_is_redacted_as_a_whole(
    size: int, share: float
) -> None:
    """A private key, for instance, of which every beginning is a finding."""
    key = "KEY" + "k" * (size - 3)
    text, _ = placed("word " * 40_000, f" {key} ", MAX_TEXT_BYTES - int(size * share))
    peer = Peer(r"KEYk*", type="ApiKey")

    assert result_of(screening_of(text, peer)) == text.replace(key, "[APIKEY]")


def test_a_long_finding_that_is_cut_off_keeps_the_text_before_it() -> None:
    """A detector may know a secret only by the word before it."""
    text, _ = placed("word " * 40_000, f" secret: {'k' * 3_200} ", MAX_TEXT_BYTES - 2_000)
    peer = Peer(r"(?<=secret: )k+", type="ApiKey")

    assert "k" not in result_of(screening_of(text, peer))


@pytest.mark.parametrize("start", [0, 300, HALF_BYTES - 300, HALF_BYTES + 300])
def test_findings_up_to_the_end_of_each_window_take_a_bounded_number_of_calls(start: int) -> None:
    peer = Peer(rf"(?s)(?<=^.{{{start}}}).+")

    screening_of("x" * MEBIBYTE, peer, Policy(pii=PiiAction.ALLOW))

    assert len(peer.texts) <= 2 + MEBIBYTE // (HALF_BYTES - NEAR_BYTES)


def test_what_fits_into_one_call_is_sent_as_it_is() -> None:
    peer = Peer()

    screening_of("x" * (MAX_TEXT_BYTES - 1), peer)
    assert [len(text) for text in peer.texts] == [MAX_TEXT_BYTES]

    screening_of("x" * MAX_TEXT_BYTES, peer)
    assert len(peer.texts) == 3


def test_numbers_are_not_cut_in_two() -> None:
    peer = Peer()

    screening_of([12_345_678] * 30_000, peer)

    numbers = {number for text in peer.texts for number in text.split()}
    assert len(peer.texts) > 2
    assert numbers == {"12345678"}


# What the answers say together


def in_windows(*said: Answer) -> Screening:
    """Screen a text of so many windows, with one answer to each."""
    replies = iter(said)
    text = "x" * (len(said) * (MAX_TEXT_BYTES - OVERLAP_BYTES) - 1)
    return screening_of(text, lambda _: next(replies), Policy(pii=PiiAction.BLOCK))


def said(*matches: Match, blocked: bool = False, reflex_request_id: str = "") -> Answer:
    return Answer(blocked=blocked, matches=matches, reflex_request_id=reflex_request_id)


def seen_by(*views: list[dict[str, Any]], policy: Policy = REDACTING) -> Screening:
    """Screen a text with a word that two windows hold, and that each describes in its own way."""
    text, _ = placed("x" * (LATE + MAX_TEXT_BYTES // 2), " SECRET ", LATE + 500)
    calls = iter(views)

    def ask(sent: str) -> Answer:
        start = sent.find("SECRET")
        place = {"start": start, "end": start + 6, "is_certain": True}
        return said(*(Match(**{**place, **view}) for view in next(calls, [])))

    return screening_of(text, ask, policy)


LATE = MAX_TEXT_BYTES - OVERLAP_BYTES
PII = {"kind": Kind.PII, "type": "Email"}
LINK = {"kind": Kind.INJECTION, "type": "DataExfiltration"}


def test_the_worse_of_two_views_of_a_finding_counts() -> None:
    views = [
        LINK | {"severity": Severity.LOW, "confidence": 0.9},
        LINK | {"severity": Severity.MEDIUM, "confidence": 0.5},
    ]
    for first, second in (views, views[::-1]):
        [finding] = seen_by([first], [second]).findings
        assert (finding.severity, finding.confidence) == (Severity.MEDIUM, 0.9)


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [(True, True, "safe"), (True, False, "blocked"), (False, True, "blocked")],
)
def test_a_finding_is_certain_only_if_both_views_are(
    first: bool, second: bool, verdict: str
) -> None:
    screening = seen_by([PII | {"is_certain": first}], [PII | {"is_certain": second}])

    assert screening.verdict == verdict


def test_findings_of_different_types_at_one_place_are_both_kept() -> None:
    screening = seen_by([PII, PII | {"type": "ApiKey"}], [PII, PII | {"type": "ApiKey"}])

    assert sorted(finding.type for finding in screening.findings) == ["ApiKey", "Email"]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_reflex_layer_blocks_by_any_window(number: int) -> None:
    screening = in_windows(*(said(blocked=window == number) for window in range(3)))

    assert screening.verdict is Verdict.BLOCKED


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_flag_of_any_window_counts_without_a_finding(number: int) -> None:
    flag = Match(Kind.INJECTION, "Custom", Severity.CRITICAL)
    screening = in_windows(*(said(*[flag] * (window == number)) for window in range(3)))

    assert (screening.verdict, screening.blocked_for) == (Verdict.BLOCKED, {Kind.INJECTION})


def test_flags_of_several_windows_are_one_finding() -> None:
    flag = Match(Kind.INJECTION, "Custom", Severity.CRITICAL)

    assert len(in_windows(said(flag), said(flag)).findings) == 1


@pytest.mark.parametrize(
    ("start", "end"),
    [(5, MAX_TEXT_BYTES + 1), (None, 5), (5, None), (20, 10), (7, 7)],
    ids=["beyond the window", "no start", "no end", "reversed", "empty"],
)
def test_unusable_offsets_give_no_place_in_the_next_window(
    start: int | None, end: int | None
) -> None:
    match = Match(Kind.PII, "Email", start=start, end=end, is_certain=True)
    whole = Match(Kind.PII, "Email", start=0, end=1_000, is_certain=True)
    replies = iter([said(match, whole), said()])

    screening = screening_of("x" * (2 * LATE - 1), lambda _: next(replies))

    assert screening.verdict is Verdict.BLOCKED
    assert () in [finding.places for finding in screening.findings]


def test_the_id_of_the_last_call_is_kept() -> None:
    screening = in_windows(said(reflex_request_id="one"), said(reflex_request_id="two"))

    assert screening.reflex_request_id == "two"


def test_more_findings_than_one_answer_may_have_block() -> None:
    rows = [f"a{number:030}@b" for number in range(MAX_MATCHES + 1)]

    screening = screening_of(rows, Peer(r"a\d+@b"))

    assert (screening.verdict, screening.reason) == (Verdict.BLOCKED, "too many findings")
    assert screening.redaction is None
    fewer = screening_of(rows[:-1], Peer(r"a\d+@b"))
    assert len(fewer.findings) == MAX_MATCHES
    assert result_of(fewer) == ["[EMAIL]"] * MAX_MATCHES


def test_too_many_findings_of_one_window_block() -> None:
    def ask(text: str) -> Answer:
        if text.startswith("x"):
            return said()
        raise TooManyFindings("too many findings")

    screening = screening_of("x" * MAX_TEXT_BYTES + "y" * 2_000, ask)

    assert screening.verdict is Verdict.SAFE
    screening = screening_of("x" * LATE + " " + "y" * 2_000, ask)
    assert (screening.verdict, screening.reason) == (Verdict.BLOCKED, "too many findings")


def test_without_an_answer_to_one_window_there_is_no_verdict() -> None:
    def ask(text: str) -> Answer:
        if text.endswith("y\n"):
            raise NoVerdict("deadline exceeded")
        return said()

    with pytest.raises(NoVerdict, match="deadline exceeded"):
        screening_of("x" * 2 * MAX_TEXT_BYTES + "y", ask)


# Redaction of long answers


def test_offsets_are_those_of_the_whole_text_after_any_number_of_windows() -> None:
    rows = [{"name": "é" * number, "mail": f"to {EMAIL} or {EMAIL}."} for number in range(700)]

    screening = screening_of({"rows": rows}, Peer())

    assert len(screening.findings) == 1_400
    assert result_of(screening) == {
        "rows": [row | {"mail": "to [EMAIL] or [EMAIL]."} for row in rows]
    }
    pieces = screening.document.pieces
    for finding in screening.findings:
        [place] = finding.places
        assert pieces[place.piece].text[place.start : place.end] == EMAIL


def test_a_redacted_answer_is_screened_again_in_windows() -> None:
    text = f"{EMAIL} " * 10_000
    peer = Peer()

    screening = screening_of(text, peer)

    assert result_of(screening) == "[EMAIL] " * 10_000
    assert [EMAIL in text for text in peer.texts] == [True] * 3 + [False]


def test_an_answer_without_text_is_safe_and_not_sent() -> None:
    peer = Peer()

    for value in (True, [], {}, [None, False, {}]):
        assert screening_of(value, peer).verdict is Verdict.SAFE
    assert peer.texts == []


def test_an_answer_beyond_the_limit_is_refused() -> None:
    screening = screening_of([1e308] * 20_000, Peer())

    assert (screening.verdict, screening.reason) == (Verdict.BLOCKED, "text too long")


@pytest.mark.alone
@pytest.mark.parametrize(
    "value",
    [
        pytest.param("x" * (MEBIBYTE - 2), id="one-string"),
        pytest.param("日" * (MEBIBYTE // 3), id="multi-byte"),
        pytest.param([1] * (MEBIBYTE // 2 - 1), id="most-pieces"),
        pytest.param({f"{number:x}": "" for number in range(MEBIBYTE // 12)}, id="keys"),
        pytest.param([EMAIL] * 10_000 + ["words of prose"] * 45_000, id="findings"),
    ],
)
def test_a_mebibyte_is_screened_in_a_bounded_time(value: Any) -> None:
    started = time.process_time()

    screening = screening_of(value, Peer())

    assert screening.verdict is Verdict.SAFE
    assert time.process_time() - started < 10
