"""Find prompt injection in a folded text: as it stands, spaced out, or encoded."""

import base64
import binascii
import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from ..findings import MOST_FINDINGS_PER_TYPE, Finding, Severity
from ..matching.folding import Folded, fold
from ..matching.scanner import Scanner
from .persona import find_personas
from .rules import CONFIDENCE, IGNORED, RULES

ENCODED = "EncodedInstruction"

NOT_LETTERS = re.compile("[^a-z]+")
SQUEEZED = re.compile(
    r"(?:ignore|disregard|forget|bypass)(?:all|any|of|the|my|your|previous|prior|above|earlier){0,6}"
    r"(?:instructions?|rules|directives|guidelines|prompts?|above)|"
    r"(?:reveal|print|repeat|show|tell)(?:me|us|the|your|full|hidden){0,4}(?:systemprompt|instructions)|"
    r"doanythingnow|youare(?:now)?dan(?![a-z])"
)
URLSAFE = str.maketrans("-_", "+/")
LONGEST_TOKEN_CHARACTERS = 20_000

Matches = Iterator[re.Match[str]]


@dataclass(frozen=True, slots=True)
class Disguise:
    """A way to write an injection so that it is not read as one.

    Attributes:
        unmasked: yields those of the matches that hide an injection.
    """

    name: str
    type: str
    pattern: re.Pattern[str]
    unmasked: Callable[[Matches], Matches]
    cased: bool = False


def find_injections(folded: Folded) -> Iterator[Finding]:
    """Yield the injections of a text, those in disguise included.

    A client does not replace them, so that nobody needs the places of thousands.
    """
    yield from find_plain(folded)
    yield from islice(find_personas(folded), MOST_FINDINGS_PER_TYPE)
    for disguise, matches in DISGUISED.find(folded):
        for match in islice(disguise.unmasked(matches), MOST_FINDINGS_PER_TYPE):
            # It took care not to be read.
            yield finding(disguise.type, match, Severity.High, disguise.name)


def find_plain(folded: Folded) -> Iterator[Finding]:
    """Yield one finding for each place a rule matches."""
    for rule, matches in PLAIN.find(folded):
        for match in islice(matches, MOST_FINDINGS_PER_TYPE):
            yield finding(rule.type, match, rule.severity, rule.name)


def finding(kind: str, match: re.Match[str], severity: Severity, indicator: str) -> Finding:
    start, end = match.span()
    return Finding(kind, start, end, CONFIDENCE[severity], severity, indicator)


def spaced(matches: Matches) -> Matches:
    """Join letters that stand apart; where the words ended is lost, so they match as one."""
    return (match for match in matches if SQUEEZED.search(NOT_LETTERS.sub("", match[0])))


def in_base64(matches: Matches) -> Matches:
    return (match for match in matches if says_injection(decoded_base64(match[0])))


def in_hexadecimal(matches: Matches) -> Matches:
    for match in matches:
        if says_injection(bytes.fromhex(match["v"][:LONGEST_TOKEN_CHARACTERS])):
            yield match


def turned(matches: Matches) -> Matches:
    """Turn the whole text; its first sign stands for all of it."""
    for match in islice(matches, 1):
        if says_injection(codecs.encode(match.string, "rot13").encode()):
            yield match


def decoded_base64(token: str) -> bytes:
    """Decode a token of either alphabet; what is no base64 decodes to nothing."""
    token = token[:LONGEST_TOKEN_CHARACTERS].rstrip("=").translate(URLSAFE)
    whole = token[: len(token) - (len(token) % 4 == 1)]
    try:
        return base64.b64decode(whole + "=" * (-len(whole) % 4))
    except binascii.Error:
        return b""


def says_injection(decoded: bytes) -> bool:
    """Tell whether bytes are a text with an injection that is more than suspicious."""
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        return False
    return any((found.severity or 0) >= Severity.Medium for found in find_plain(fold(text)))


DISGUISES = (
    # Letters one by one, "i g n o r e", with a mark or blank between them.
    Disguise("spaced-letters", IGNORED, re.compile(
        r"(?<![a-z0-9])[a-z](?:[ \t.,_*|/-]{1,3}[a-z]){7,400}(?![a-z0-9])"), spaced),
    # Long enough to hold an instruction; shorter ones are ids and hashes.
    Disguise("base64", ENCODED, re.compile(
        r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{20,}={0,2}"), in_base64, cased=True),
    Disguise("hexadecimal", ENCODED, re.compile(
        r"(?<![0-9a-f])(?:0x)?(?P<v>(?:[0-9a-f]{2}){16,})(?![0-9a-f])"), in_hexadecimal),
    # "ignore", "disregard", "forget", "reveal" and "instruction" are the cheap sign that a text
    # is worth turning.
    Disguise("rot13", ENCODED, re.compile("vtaber|qvfertneq|sbetrg|erirny|vafgehpgvba"), turned),
)  # fmt: skip

PLAIN = Scanner(RULES)
DISGUISED = Scanner(DISGUISES)
