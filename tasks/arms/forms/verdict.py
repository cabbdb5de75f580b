"""The verdict on a criterion, and the evidence for it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class CriterionVerdict(StrEnum):
    MET = "met"
    NOT_MET = "not_met"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Judged:
    """What a rule found.

    Attributes:
        evidence: a sentence that says why, with 80 characters of foreign text at most.
    """

    verdict: CriterionVerdict
    evidence: str


def decided(is_met: bool | None, evidence: str) -> Judged:
    """Return the verdict for yes, no, or None for doubt."""
    if is_met is None:
        return Judged(CriterionVerdict.UNDECIDED, evidence)
    return Judged(CriterionVerdict.MET if is_met else CriterionVerdict.NOT_MET, evidence)


# A sentence of evidence quotes a field and one more text, so together twice as much.
LONGEST_QUOTE: Final = 40


def quote(text: str) -> str:
    """Quote text in one line, without characters that a database or a terminal may not take."""
    start = text[: 2 * LONGEST_QUOTE]
    line = " ".join(start.split())
    if len(line) > LONGEST_QUOTE or len(text) > len(start):
        line = line[: LONGEST_QUOTE - 1] + "…"
    return '"' + "".join(c if c.isprintable() else "\ufffd" for c in line) + '"'


def shown(number: float, most_bits: int = 64) -> str:
    """Write a number, or the size of an integer that has more bits.

    Python refuses to write integers of thousands of digits.
    """
    if isinstance(number, int) and number.bit_length() > most_bits:
        return f"{'-' if number < 0 else ''}~2^{number.bit_length()}"
    return str(number)
