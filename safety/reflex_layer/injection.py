"""Find prompt injection in a folded text: as it stands, spaced out, or encoded."""

import base64
import binascii
import codecs
import re
from collections.abc import Iterator

from .findings import Finding, Severity
from .folding import Folded, fold
from .injection_rules import CONFIDENCE, RULES, Rule
from .persona import find_personas

ENCODED = "EncodedInstruction"

# Letters one by one, "i g n o r e", with a mark or blank between them.
SPACED_LETTERS = re.compile(r"(?<![a-z0-9])[a-z](?:[ \t.,_*|/-]{1,3}[a-z]){7,400}(?![a-z0-9])")
SQUEEZED = re.compile(
    r"(?:ignore|disregard|forget|bypass)(?:all|any|of|the|my|your|previous|prior|above|earlier){0,6}"
    r"(?:instructions?|rules|directives|guidelines|prompts?|above)|"
    r"(?:reveal|print|repeat|show|tell)(?:me|us|the|your|full|hidden){0,4}(?:systemprompt|instructions)|"
    r"doanythingnow|youare(?:now)?dan(?![a-z])"
)

# Long enough to hold an instruction; shorter ones are ids and hashes.
BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{20,}={0,2}")
HEX = re.compile(r"(?<![0-9a-f])(?:0x)?(?P<v>(?:[0-9a-f]{2}){16,})(?![0-9a-f])")
URLSAFE = str.maketrans("-_", "+/")
LONGEST_TOKEN_CHARACTERS = 20_000

# "ignore", "disregard", "forget", "reveal" and "instruction" in rot13: the cheap sign that a
# text is worth turning.
ROT13_SIGN = re.compile("vtaber|qvfertneq|sbetrg|erirny|vafgehpgvba")


def find_injections(folded: Folded) -> Iterator[Finding]:
    """Yield the injections of a text, those in disguise included."""
    yield from find_plain(folded)
    yield from find_personas(folded)
    yield from find_spaced(folded)
    yield from find_encoded(folded)
    yield from find_turned(folded)


def find_plain(folded: Folded) -> Iterator[Finding]:
    """Yield one finding for each place a rule matches."""
    for rule in RULES:
        for match in rule.pattern.finditer(folded.cased if rule.cased else folded.lower):
            yield finding(rule, match.start(), match.end())


def finding(rule: Rule, start: int, end: int) -> Finding:
    return Finding(
        rule.type, start, end, CONFIDENCE[rule.severity], rule.severity, indicator=rule.name
    )


def find_spaced(folded: Folded) -> Iterator[Finding]:
    """Join letters that stand apart; where the words ended is lost, so they match as one."""
    for match in SPACED_LETTERS.finditer(folded.lower):
        if SQUEEZED.search(re.sub("[^a-z]", "", match[0])):
            yield disguised("IgnorePreviousInstructions", match, "spaced-letters")


def find_encoded(folded: Folded) -> Iterator[Finding]:
    """Yield tokens that decode to an instruction."""
    for match in BASE64.finditer(folded.cased):
        if says_injection(decoded_base64(match[0])):
            yield disguised(ENCODED, match, "base64")
    for match in HEX.finditer(folded.lower):
        if says_injection(bytes.fromhex(match["v"][:LONGEST_TOKEN_CHARACTERS])):
            yield disguised(ENCODED, match, "hexadecimal")


def find_turned(folded: Folded) -> Iterator[Finding]:
    """Yield instructions written in rot13; the first one is enough."""
    sign = ROT13_SIGN.search(folded.lower)
    if sign and says_injection(codecs.encode(folded.lower, "rot13").encode()):
        yield disguised(ENCODED, sign, "rot13")


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


def disguised(kind: str, match: re.Match[str], indicator: str) -> Finding:
    """Return a finding for something that took care not to be read."""
    return Finding(
        kind, match.start(), match.end(), CONFIDENCE[Severity.High], Severity.High, indicator
    )
