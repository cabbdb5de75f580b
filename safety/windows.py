"""Screen a text that is too long for one call, in windows.

Windows overlap, so that a finding that one of them cuts off is whole in the next. All offsets are
moved to the whole text, and what was found in two windows becomes one finding.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from safety.document import MAX_TEXT_BYTES
from safety.exceptions import TooManyFindings
from safety.findings import Answer, Kind, Match
from safety.reflex_client.protocol import MAX_MATCHES

# A finding up to this long is whole in at least one window.
OVERLAP_BYTES: Final = 1_000
# A longer finding that a window cuts off is whole in the next one if it begins in the second half.
HALF_BYTES: Final = MAX_TEXT_BYTES // 2
# Windows are cut at a blank if there is one so near: half a number may look like another number.
NEAR_BYTES: Final = 200


def answers(text: str, *, ask: Callable[[str], Answer]) -> Iterator[Answer]:
    """Yield the answer to each window of `text`, with byte offsets into the whole text.

    A text that fits into one call is sent as it is, and its answer is yielded as it came.

    Raises:
        NoVerdict: `ask` got no answer.
    """
    encoded = text.encode()
    if len(encoded) <= MAX_TEXT_BYTES:
        yield ask(text)
        return
    start = end = 0
    while end < len(encoded):
        end = _cut(encoded, start + MAX_TEXT_BYTES)
        answer = ask(encoded[start:end].decode())
        matches = tuple(_moved(match, start, end) for match in answer.matches)
        yield replace(answer, matches=matches)
        start = _next_start(encoded, start, end, matches)


def merged(before: Answer, after: Answer) -> Answer:
    """Return one answer for all windows up to and including that of `after`.

    Raises:
        TooManyFindings: together they have more findings of one kind than one answer may have.
    """
    matches = _without_repetition((*before.matches, *after.matches))
    if any(count > MAX_MATCHES for count in Counter(match.kind for match in matches).values()):
        raise TooManyFindings("too many findings")
    return Answer(
        blocked=before.blocked or after.blocked,
        matches=matches,
        reflex_request_id=after.reflex_request_id,
    )


def _cut(encoded: bytes, position: int) -> int:
    """Return where to cut: `position` or a little before it, never inside a character."""
    if position >= len(encoded):
        return len(encoded)
    nearest = max(encoded.rfind(blank, position - NEAR_BYTES, position) for blank in (b" ", b"\n"))
    if nearest >= 0:
        return nearest + 1
    while encoded[position] & 0b1100_0000 == 0b1000_0000:
        position -= 1
    return position


def _next_start(encoded: bytes, start: int, end: int, matches: Iterable[Match]) -> int:
    """Return the start of the window after the one from `start` to `end`.

    It includes every finding of the overlap as a whole, with a part of the text before it, since
    there may be more of it beyond `end`.
    """
    overlap = end - OVERLAP_BYTES
    cut_off = (
        match.start - NEAR_BYTES
        for match in matches
        if match.start is not None and match.end is not None and match.end > overlap
    )
    # Each window goes on by at least half its size, whatever was found.
    reached = [begin for begin in cut_off if begin >= start + HALF_BYTES]
    return _cut(encoded, min([overlap, *reached]))


def _moved(match: Match, start: int, end: int) -> Match:
    """Return the match with its offsets in the whole text; without them if they are unusable.

    Offsets that are too large for the window would be those of some other place in the text.
    """
    if match.start is None or match.end is None or not match.start < match.end <= end - start:
        return replace(match, start=None, end=None)
    return replace(match, start=start + match.start, end=start + match.end)


def _without_repetition(matches: Iterable[Match]) -> tuple[Match, ...]:
    """Merge each match into one of its type that covers it, and sort by place.

    The merged match is as bad as the worse of the two, so the verdict stays the same. Matches
    without a place come first, each once.
    """
    nowhere: dict[Match, None] = {}
    placed: list[tuple[int, int, Match]] = []
    for match in matches:
        if match.start is None or match.end is None:
            nowhere[match] = None
        else:
            placed.append((match.start, match.end, match))
    # Of those with one start the longest comes first, so that each follows what covers it.
    placed.sort(key=lambda one: (one[0], -one[1]))
    kept: list[Match] = []
    # Of each type, the index of the last one in `kept`, and its end.
    last: dict[tuple[Kind, str], tuple[int, int]] = {}
    for _, end, match in placed:
        name = (match.kind, match.type)
        number, reached = last.get(name, (0, -1))
        if end <= reached:
            kept[number] = _worse(kept[number], match)
        else:
            last[name] = (len(kept), end)
            kept.append(match)
    return (*nowhere, *kept)


def _worse(covering: Match, covered: Match) -> Match:
    """Return `covering` with the worse severity, and certain only if both are."""
    severities = [match.severity for match in (covering, covered) if match.severity is not None]
    confidences = [
        match.confidence for match in (covering, covered) if match.confidence is not None
    ]
    return replace(
        covering,
        severity=max(severities, default=None),
        confidence=max(confidences, default=None),
        is_certain=covering.is_certain and covered.is_certain,
    )
