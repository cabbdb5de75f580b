"""Find prompt injection in a folded text: in plain words, spaced out, or encoded."""

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
    """A way to hide an injection from the plain rules.

    Attributes:
        unmasked: yields the matches that hide an injection.
    """

    name: str
    type: str
    pattern: re.Pattern[str]
    unmasked: Callable[[Matches], Matches]
    cased: bool = False


def find_injections(folded: Folded) -> Iterator[Finding]:
    """Yield the injections in a text, including those in disguise.

    Clients do not replace injections, so a limited number of places is enough.
    """
    yield from find_plain(folded)
    yield from islice(find_personas(folded), MOST_FINDINGS_PER_TYPE)
    for disguise, matches in DISGUISED.find(folded):
        for match in islice(disguise.unmasked(matches), MOST_FINDINGS_PER_TYPE):
            # A disguise shows intent, so the severity is high.
            yield finding(disguise.type, match, Severity.High, disguise.name)


def find_plain(folded: Folded) -> Iterator[Finding]:
    """Yield one finding for each match of a rule, up to a limit."""
    for rule, matches in PLAIN.find(folded):
        for match in islice(matches, MOST_FINDINGS_PER_TYPE):
            yield finding(rule.type, match, rule.severity, rule.name)


def finding(kind: str, match: re.Match[str], severity: Severity, indicator: str) -> Finding:
    start, end = match.span()
    return Finding(kind, start, end, CONFIDENCE[severity], severity, indicator)


def spaced(matches: Matches) -> Matches:
    """Yield the matches that read as an injection once their letters are joined."""
    return (match for match in matches if SQUEEZED.search(NOT_LETTERS.sub("", match[0])))


def in_base64(matches: Matches) -> Matches:
    return (match for match in matches if has_injection(decoded_base64(match[0])))


def in_hexadecimal(matches: Matches) -> Matches:
    for match in matches:
        if has_injection(bytes.fromhex(match["v"][:LONGEST_TOKEN_CHARACTERS])):
            yield match


def in_rot13(matches: Matches) -> Matches:
    """Decode the whole text, and yield the first match for all of it."""
    for match in islice(matches, 1):
        if has_injection(codecs.encode(match.string, "rot13").encode()):
            yield match


def decoded_base64(token: str) -> bytes:
    """Decode a token in standard or URL-safe base64; return nothing if it is invalid."""
    token = token[:LONGEST_TOKEN_CHARACTERS].rstrip("=").translate(URLSAFE)
    whole = token[: len(token) - (len(token) % 4 == 1)]
    try:
        return base64.b64decode(whole + "=" * (-len(whole) % 4))
    except binascii.Error:
        return b""


def has_injection(decoded: bytes) -> bool:
    """Return whether the bytes are a text with an injection of at least medium severity."""
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        return False
    return any((found.severity or 0) >= Severity.Medium for found in find_plain(fold(text)))


DISGUISES = (
    # Single letters with marks or blanks between them: "i g n o r e".
    Disguise("spaced-letters", IGNORED, re.compile(
        r"(?<![a-z0-9])[a-z](?:[ \t.,_*|/-]{1,3}[a-z]){7,400}(?![a-z0-9])"), spaced),
    # Long enough to hold an instruction; shorter ones are ids and hashes.
    Disguise("base64", ENCODED, re.compile(
        r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{20,}={0,2}"), in_base64, cased=True),
    Disguise("hexadecimal", ENCODED, re.compile(
        r"(?<![0-9a-f])(?:0x)?(?P<v>(?:[0-9a-f]{2}){16,})(?![0-9a-f])"), in_hexadecimal),
    # "ignore", "disregard", "forget", "reveal" and "instruction" in rot13: a cheap sign that a
    # text is worth decoding.
    Disguise("rot13", ENCODED, re.compile("vtaber|qvfertneq|sbetrg|erirny|vafgehpgvba"), in_rot13),
)  # fmt: skip

PLAIN = Scanner(RULES)
DISGUISED = Scanner(DISGUISES)
