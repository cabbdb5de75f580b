"""Find personal data in a folded text, with bounded patterns and then checksums.

No pattern repeats a repetition or starts in the middle of a run of its own characters, so the
time is at most proportional to the length of the text.
"""

import re
from collections import Counter
from collections.abc import Iterator

from ..findings import MOST_FINDINGS_PER_TYPE, Finding
from ..matching.folding import Folded
from ..matching.patterns import Rule, as_folded, beside, compiled
from ..matching.scanner import Scanner
from . import checks
from .cards import CARDS
from .credentials import CREDENTIALS
from .phones import PHONES

LINK = compiled(r"(?:https?://|www\.)[^\s<>\"']{1,4000}")

# Lengths of IBANs without their country and check digits, from the registry.
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

MONTH = as_folded(
    r"(?:jan|feb|fev|mar|mae?r|apr|avr|abr|ma[iyjg]|jui?n|giu|jui?l|lug|aug|aou|ago|sep|set|"
    r"o[ckt]t|"
    r"out|nov|de[cz]|dic|gen|ene|янв|фев|мар|апр|ма[йя]|июн|июл|авг|сен|окт|ноя|дек)"
    r"[a-zа-я]{0,7}\.?"
)
DATE = (
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d\d)|(?:19|20)\d{6}|"
    rf"{MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|"
    rf"\d{{1,2}}(?:st|nd|rd|th|er|o)?\.? (?:of |de )?{MONTH},? (?:de |del )?\d{{4}}"
)
BIRTH = (
    "born|dob|date[ _-]?of[ _-]?birth|birth[ _-]?(?:date|day)|geboren|geburtsdatum|geburtstag|geb|"
    "nee?(?: le)?|date[ _-]de[ _-]naissance|nacid[oa]|fecha[ _-]de[ _-]nacimiento|nat[oa]|"
    "data[ _-]di[ _-]nascita|nascid[oa]|data[ _-]de[ _-]nascimento|geboortedatum|"
    "родил(?:ся|ась)|дата[ _-]рождения|出生日期|生年月日|出生|生日"
)

# The letters of an e-mail address may be of any script. Other scripts' dots and brackets are not
# included.
LETTER = "a-z0-9\u00a1-\u1fff\u2c00-\u2dff\u3040-\ufefe\U00010000-\U0010ffff"
TOP = r"(?:xn--[a-z0-9-]{2,59}|[a-z\u00a1-\u1fff\u3040-\ufefe]{2,24})(?![a-z0-9])"
IN_BRACKETS = r" ?[\[({{<] ?{} ?[\])}}>] ?"
AT = rf"(?:{IN_BRACKETS.format('(?:at|@|at sign)')})"
DOT = rf"(?:\.|{IN_BRACKETS.format('(?:dot|punkt|point|punto)')}| dot )"

# If two rules match the same part of a text, the first rule gets it.
RULES = (
    *(
        Rule("ApiKey", rule.pattern, rule.confidence, rule.check, rule.cased)
        for rule in CREDENTIALS
    ),
    Rule(
        "Email",
        # Each run of letters is read once, from its start.
        re.compile(
            rf"(?<![{LETTER}._%+-])(?P<v>(?:[{LETTER}._%+-]{{1,64}}')?[{LETTER}._%+-]+@"
            rf"[{LETTER}][{LETTER}.-]{{0,190}}\.{TOP})"
        ),
        0.95,
        checks.is_mail,
    ),
    Rule(
        "Email",
        re.compile(
            rf"(?<![a-z0-9._%+-])(?P<v>[a-z0-9._%+-]{{1,64}}(?:{AT}[a-z0-9-]{{1,63}}"
            rf"(?:{DOT}[a-z0-9-]{{1,63}}){{0,4}}{DOT}|"
            r" at [a-z0-9-]{1,63}(?: dot [a-z0-9-]{1,63}){0,4} dot )[a-z]{2,24})(?![a-z0-9])"
        ),
        0.85,
        checks.is_mail_in_words,
    ),
    Rule(
        "BankAccount",
        compiled(rf"(?<![a-z0-9])(?=[a-z]{{2}}\d\d)(?=(?P<v>{IBAN})(?![a-z0-9]))"),
        0.98,
        checks.is_iban,
    ),
    *CARDS,
    Rule(
        "SSN",
        compiled(
            r"(?<![\w-])(?<!\d[ .,])(?P<v>\d{3}(?:-\d\d-|\.\d\d\.| \d\d )\d{4})"
            r"(?![\w-]|[ .,]\d)"
        ),
        0.9,
        checks.is_ssn_alone,
        in_links=False,
    ),
    Rule(
        "SSN",
        beside(
            r"[a-z_]{0,20}ssn|social[ _-]?(?:security|insurance)?",
            r"(?P<v>\d{3}[ \n._/-]{0,3}\d\d[ \n._/-]{0,3}\d{4})(?![\d-])",
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
        beside(BIRTH, rf"(?P<v>{DATE})(?!\d)"),
        0.9,
        checks.is_birth,
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
            "bank[ _-]?account|bankkonto|kontonummer|cuenta bancaria|compte bancaire|"
            "conto corrente|conta bancaria|bankrekening|numero de (?:cuenta|compte|conta)",
            r"(?P<v>\d(?:[ -]?\d){5,16})(?![a-z0-9])",
        ),
        0.75,
        checks.is_number,
    ),
    # The accounts of other services have numbers too.
    Rule(
        "BankAccount",
        beside(
            "(?:account|acct)[ _-]?(?:number|num|no|nr)",
            r"(?P<v>\d(?:[ -]?\d){7,16})(?![a-z0-9])",
        ),
        0.75,
        checks.is_account,
    ),
    Rule(
        "Passport",
        beside(
            "passport|reisepass|reisepassnummer|passeport|pasaporte|passaport[eo]|paspoort|паспорт",
            r"(?P<v>[a-z]{0,2}\d{6,9}|\d\d ?\d\d \d{6})(?![a-z0-9])",
        ),
        0.8,
    ),
    Rule(
        "DriversLicense",
        beside(
            r"driv(?:er'?s?|ing)[ _-]?licen[cs]e|dl (?:number|no)",
            r"(?P<v>[a-z]{0,2}[ -]?\d(?:[ -]?\d){4,13})(?![a-z0-9])",
        ),
        0.75,
        checks.is_number,
    ),
    Rule(
        "MedicalRecordNumber",
        beside("mrn|medical[ _-]?record", r"(?P<v>[a-z]{0,3}-?\d{5,12})(?![a-z0-9])"),
        0.85,
    ),
    *PHONES,
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
    """Yield the personal data in the text. No finding lies inside an earlier one.

    An answer has a limited number of findings of each type. Further matches of a type are not
    checked, and those of the same confidence are combined into one finding.
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
            # A match that extends beyond an earlier finding counts: the rest may be the secret.
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
    """Return a byte for each character of the text, set if the character is in a link."""
    links = bytearray(len(text))
    for link in LINK.finditer(text):
        start, end = link.span()
        links[start:end] = CLAIMED * (end - start)
    return links
