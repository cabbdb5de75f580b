"""Find personal data in a folded text: bounded patterns, then checksums.

No pattern repeats a repetition or starts in the middle of a run of its own characters, so
that the time grows with the length of the text and nothing worse.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import pii_checks as checks
from .credentials import CREDENTIALS
from .findings import MOST_FINDINGS_PER_TYPE, Finding
from .folding import Folded
from .scanner import Scanner

Check = Callable[[re.Match[str]], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """A type of PII and the pattern of its group `v`.

    A bare number inside a link is an id far more often than a person's, so rules for numbers
    say `in_links=False`.
    """

    type: str
    pattern: re.Pattern[str]
    confidence: float
    check: Check | None = None
    cased: bool = False
    in_links: bool = True


def beside(words: str, value: str) -> re.Pattern[str]:
    """Compile a pattern for a value that only counts right after one of the words."""
    return compiled(rf"(?<![a-z])(?:{words})(?:{BETWEEN}){{0,12}}{value}")


def compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


# What may stand between a word and its value: "phone number of the client is 555 ...".
BETWEEN = (
    r"[\s\"'(:=#.,*_/-]|numbers?|num|nr|no|is|was|at|on|me|us|him|her|them|my|our|the|to|of|for|"
    r"customer|client|user|patient|employee|work|home|cell|mobile|phone|new|old|back|or|and|id"
)

LINK = compiled(r"(?:https?://|www\.)[^\s<>\"']{1,4000}")

# Lengths of an IBAN after its country and check digits, from the registry.
IBAN_COUNTRIES = {
    11: "no",
    12: "be",
    14: "dk|fi|fk|fo|gl|nl|sd",
    15: "mk|si",
    16: "at|ba|ee|kz|lt|lu|mn|xk",
    17: "ch|hr|li|lv",
    18: "bg|bh|cr|de|gb|ge|ie|me|rs|va",
    19: "ae|gi|il|iq|om|so|tl",
    20: "ad|cz|es|md|pk|ro|sa|se|sk|tn|vg",
    21: "ly|pt|st",
    22: "is|tr",
    23: "bi|dj|fr|gr|it|mc|mr|sm",
    24: "al|az|by|cy|do|gt|hn|hu|lb|ni|pl|sv",
    25: "br|eg|ps|qa|ua",
    26: "jo|kw|mu|ye",
    27: "mt|sc",
    28: "lc",
    29: "ru",
}
IBAN = "|".join(
    rf"(?:{countries})\d\d(?:[ -]?[a-z0-9]){{{length}}}"
    for length, countries in IBAN_COUNTRIES.items()
)

MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
DATE = (
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d\d)|(?:19|20)\d{6}|"
    rf"{MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|"
    rf"\d{{1,2}}(?:st|nd|rd|th)?\.? (?:of )?{MONTH},? \d{{4}}"
)

# Names that look like a mail's domain: versions, images by pixel density, systemd units.
NO_MAIL_DOMAIN = (
    r"(?!v?\d+\.\d|\dx\.|[\w.-]{1,60}\.(?:png|jpe?g|svg|gif|webp|service|socket|timer|target)\b)"
)

PHONE_WORDS = r"[a-z_]{0,20}phone|tele?|tel|mobile|mobil|cell|whatsapp|fax|contact(?: number| no)"
PHONE_VERBS = "call|dial|text|sms|ring|contact|reach(?: me| us| him| her| them)?|my number"

# The first rule that claims a stretch of text keeps it.
RULES = (
    *(
        Rule("ApiKey", rule.pattern, rule.confidence, rule.check, rule.cased)
        for rule in CREDENTIALS
    ),
    Rule(
        "Email",
        compiled(
            r"(?<![a-z0-9._%+-])(?P<v>(?!(?:git|hg)@[\w.-]+[:/])[a-z0-9._%+-]{1,64}@"
            rf"{NO_MAIL_DOMAIN}(?:[a-z0-9](?:[a-z0-9-]{{0,61}}[a-z0-9])?\.){{1,8}}[a-z]{{2,24}})"
            r"(?![a-z0-9])"
        ),
        0.95,
    ),
    Rule(
        "BankAccount",
        compiled(rf"(?<![a-z0-9])(?=[a-z]{{2}}\d\d)(?=(?P<v>{IBAN})(?![a-z0-9]))"),
        0.98,
        checks.is_iban,
    ),
    # Looked for at every digit, since a number before a card must not swallow its first group.
    Rule(
        "CreditCard",
        compiled(
            r"(?<![a-z0-9])(?<!\d\.)(?=(?P<v>\d{13,19}|"
            r"\d{4}[ .-]{1,2}\d{4}[ .-]{1,2}\d{4}[ .-]{1,2}\d{1,4}|"
            r"\d{4}[ .-]{1,2}\d{6}[ .-]{1,2}\d{4,5})(?![a-z0-9]|\.\d))"
        ),
        0.95,
        checks.is_card,
        in_links=False,
    ),
    Rule(
        "CreditCard",
        compiled(
            r"(?<![a-z0-9])(?=(?P<v>(?:\d{4}[ .-]{1,2}){4}\d{3})(?![a-z0-9]|\.\d))",
        ),
        0.95,
        checks.is_card,
        in_links=False,
    ),
    Rule(
        "CreditCard",
        beside("card|visa|mastercard|amex|pan", r"(?P<v>\d(?:[ .-]{0,2}\d){12,18})(?!\d)"),
        0.95,
        checks.is_card_beside_word,
    ),
    Rule(
        "SSN",
        compiled(r"(?<![\w-])(?P<v>\d{3}-\d\d-\d{4})(?![\w-])"),
        0.9,
        checks.is_ssn,
        in_links=False,
    ),
    Rule(
        "SSN",
        beside(
            r"[a-z_]{0,20}ssn|social[ _-]?(?:security|insurance)?",
            r"(?P<v>\d{3}[ .-]?\d\d[ .-]?\d{4})(?![\d-])",
        ),
        0.95,
        checks.is_ssn,
    ),
    Rule(
        "ITIN",
        compiled(r"(?<![\w-])(?P<v>9\d\d-\d\d-\d{4})(?![\w-])"),
        0.85,
        checks.is_itin,
        in_links=False,
    ),
    Rule(
        "ITIN",
        beside("itin|taxpayer", r"(?P<v>9\d\d[ -]?\d\d[ -]?\d{4})(?!\d)"),
        0.9,
        checks.is_itin,
    ),
    Rule(
        "DateOfBirth",
        beside(
            r"born|dob|date[ _-]?of[ _-]?birth|birth[ _-]?(?:date|day)", rf"(?P<v>{DATE})(?!\d)"
        ),
        0.9,
    ),
    Rule(
        "RoutingNumber",
        beside("routing|aba|rtn", r"(?P<v>\d{9})(?!\d)"),
        0.9,
        checks.is_routing_number,
    ),
    Rule(
        "BankAccount",
        beside(
            r"bank[ _-]?account|(?:bank[ _-]?)?(?:account|acct)[ _-]?(?:number|num|no|nr)",
            r"(?P<v>\d(?:[ -]?\d){5,16})(?![a-z0-9])",
        ),
        0.75,
        checks.is_phone_beside_word,
    ),
    Rule(
        "Passport",
        beside("passport", r"(?P<v>[a-z]{0,2}\d{6,9})(?![a-z0-9])"),
        0.8,
    ),
    Rule(
        "DriversLicense",
        beside(
            r"driv(?:er'?s?|ing)[ _-]?licen[cs]e|dl (?:number|no)",
            r"(?P<v>[a-z]{0,2}[ -]?\d(?:[ -]?\d){4,13})(?![a-z0-9])",
        ),
        0.75,
        checks.is_phone_beside_word,
    ),
    Rule(
        "MedicalRecordNumber",
        beside("mrn|medical[ _-]?record", r"(?P<v>[a-z]{0,3}-?\d{5,12})(?![a-z0-9])"),
        0.85,
    ),
    Rule(
        "Phone",
        compiled(r"(?<![\w+])(?P<v>\+[1-9](?:[ ().\-/]{0,2}\d){7,14})(?![\d\w])"),
        0.9,
        checks.is_international_phone,
        in_links=False,
    ),
    Rule(
        "Phone",
        compiled(r"(?<![\w)])(?P<v>(?:1[ .-]?)?\([1-9]\d\d\)[ .-]?\d{3}[ .-]\d{4})(?![\w-])"),
        0.9,
        in_links=False,
    ),
    Rule(
        "Phone",
        compiled(r"(?<![\w.-])(?P<v>(?:1[.-])?[1-9]\d\d([.-])\d{3}\2\d{4})(?![\w-]|\.\d)"),
        0.85,
        in_links=False,
    ),
    Rule(
        "Phone",
        beside(PHONE_WORDS, r"(?P<v>\+?\(?\d(?:[ ().\-/]{0,2}\d){6,14})(?![\w-])"),
        0.85,
        checks.is_phone_beside_word,
    ),
    Rule(
        "Phone",
        beside(PHONE_VERBS, r"(?P<v>\+?\(?\d(?:[ ().\-/]{0,2}\d){9,12})(?![\w-])"),
        0.7,
        checks.is_phone_beside_verb,
    ),
    Rule(
        "IPv4",
        compiled(r"(?<![\w.-])(?P<v>\d{1,3}(?:\.\d{1,3}){3})(?!\w|\.\d|-[a-z])"),
        0.9,
        checks.is_ipv4,
    ),
    Rule(
        "MacAddress",
        compiled(
            r"(?<![\w:-])(?P<v>[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\2){4}[0-9a-f]{2}|"
            r"[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4})(?![\w:-]|\.\w)"
        ),
        0.9,
        checks.is_mac,
        in_links=False,
    ),
    Rule(
        "IPv6",
        compiled(r"(?<![\w:.])(?P<v>(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4})(?![\w:])"),
        0.85,
        checks.is_ipv6,
    ),
    Rule(
        "BitcoinAddress",
        compiled(
            r"(?<![A-Za-z0-9])(?P<v>[13][1-9A-HJ-NP-Za-km-z]{25,34}|bc1[02-9ac-hj-np-z]{11,71})"
            r"(?![A-Za-z0-9])"
        ),
        0.95,
        checks.is_bitcoin,
        cased=True,
    ),
    Rule(
        "EthereumAddress",
        compiled(r"(?<![a-z0-9])(?P<v>0x[0-9a-f]{40})(?![a-z0-9])"),
        0.9,
        checks.is_ethereum,
    ),
)


SCANNER = Scanner(RULES)
CLAIMED = b"\1"


def find_pii(folded: Folded) -> Iterator[Finding]:
    """Yield what is personal in the text; of two findings none lies inside the earlier one.

    Beyond the number of a type that an answer names, one finding stands for all others, and
    what looks like another needs no check.
    """
    links: bytearray | None = None
    claimed = bytearray(len(folded.lower))
    numbers: Counter[str] = Counter()
    others: dict[tuple[str, float], tuple[int, int]] = {}
    for rule, matches in SCANNER.find(folded):
        if links is None and not rule.in_links:
            links = marked_links(folded.lower)
        for match in matches:
            start, end = match.span("v")
            # One that sticks out is a finding too: the rest of it may be the secret.
            if claimed.find(0, start, end) < 0 or (links and links[start] and not rule.in_links):
                continue
            if numbers[rule.type] >= MOST_FINDINGS_PER_TYPE:
                key = rule.type, rule.confidence
                first, last = others.get(key, (start, end))
                others[key] = min(first, start), max(last, end)
            elif rule.check is None or rule.check(match):
                numbers[rule.type] += 1
                yield Finding(rule.type, start, end, rule.confidence)
            else:
                continue
            claimed[start:end] = CLAIMED * (end - start)
    for (kind, confidence), span in others.items():
        yield Finding(kind, *span, confidence)


def marked_links(text: str) -> bytearray:
    """Return a byte for each character of the text, set where it belongs to a link."""
    links = bytearray(len(text))
    for link in LINK.finditer(text):
        start, end = link.span()
        links[start:end] = CLAIMED * (end - start)
    return links
