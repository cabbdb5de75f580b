"""Card numbers: how they are written, and how to distinguish them from ordinary numbers."""

import re

from ..matching.patterns import Check, Rule, beside, compiled
from .check_digits import passes_ean, passes_luhn

# Issuers by their leading digits, with the lengths of their numbers.
ISSUERS = (
    (re.compile("4"), {13, 16, 19}),  # Visa
    (re.compile("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), {16}),  # Mastercard
    (re.compile("3[47]"), {15}),  # American Express
    (re.compile("6011|64[4-9]|65"), set(range(16, 20))),  # Discover
    (re.compile("30[0-5]|309|36|3[89]"), {14, 16, 19}),  # Diners Club
    (re.compile("35(?:2[89]|[3-8])"), set(range(16, 20))),  # JCB
    (re.compile("2131|1800"), {15}),  # JCB, old cards
    (re.compile("62|81"), set(range(16, 20))),  # UnionPay
    (re.compile("50(?:18|20|38)|5[678]|0604|6304|6390|67"), set(range(12, 20))),  # Maestro
    (re.compile("220[0-4]"), set(range(16, 20))),  # Mir
    (re.compile("60|508|82|353|356"), {16}),  # RuPay, Hipercard
    (re.compile("9792|5019|8600|9860"), {16}),  # Troy, Dankort, Uzcard, Humo
    (re.compile("50[69]|63[67]"), {16, 18, 19}),  # Verve, Elo, InterPayment
)

# Visa stopped using this length long ago, and product codes have it too.
OLD_CARD_DIGITS = 13
# Consecutive numbers, such as ids, are closer to each other than the groups of a card number.
CLOSEST_GROUPS = 200

# With more neighbours than this, the groups are part of a longer list of numbers.
MOST_NEIGHBOURS = 1
NEAR = 120
LONGEST_PHONE = 15

# Two groups are separated by a mark, or by the end of a line and the next key of an object.
MARK = "[ \t._/·•-]{1,3}"
UNNAMED = r"[ \t]{0,3}[\n,;|][ \t]{0,3}"
NAMED = rf"{UNNAMED}[a-z_][a-z0-9_ -]{{0,31}}: "
ITEM = rf"(?:{UNNAMED}|{NAMED})"
END = r"(?![a-z0-9]|\.\d)"


def four_by_four(between: str) -> str:
    return rf"\d{{4}}(?:{between}\d{{4}}){{3}}"


def other_groups(between: str) -> str:
    """Return a pattern for the other groupings that card networks print."""
    return (
        rf"{four_by_four(between)}{between}\d{{1,3}}|"
        rf"\d{{4}}{between}\d{{4}}{between}(?:\d{{4}}(?!{between}\d)|\d{{4}}{between}\d{{1,3}}|"
        r"\d{5})|"
        rf"\d{{4}}{between}\d{{6}}{between}\d{{4,5}}|\d{{8}}{between}\d{{8}}"
    )


def is_card(match: re.Match[str]) -> bool:
    """Distinguish a card number of a known issuer from a product code."""
    number = digits(match["v"])
    if not passes_luhn(number) or not is_issued(number):
        return False
    if len(number) == OLD_CARD_DIGITS and number == match["v"] and passes_ean(number):
        return False
    return len(number) > LONGEST_PHONE or match.string[match.start("v") - 1] != "+"


def is_card_in_items(match: re.Match[str]) -> bool:
    """Distinguish the groups of a card number from a list of amounts, ids or years."""
    if not is_card(match):
        return False
    groups = [int(group) for group in re.findall(r"\d+", ITEM_NAME.sub("\n", match["v"]))]
    spread = max(groups) - min(groups)
    if 0 < spread < CLOSEST_GROUPS or all(group % 10 == 0 for group in groups):
        return False
    return neighbours(match) <= MOST_NEIGHBOURS


def is_card_beside_word(match: re.Match[str]) -> bool:
    """Accept any issuer, because shops and clubs issue cards too."""
    number = digits(match["v"])
    return passes_luhn(number) and len(set(number)) > 1


def is_issued(number: str) -> bool:
    return any(p.match(number) and len(number) in lengths for p, lengths in ISSUERS)


def digits(value: str) -> str:
    """Return the digits of a value, without those in the keys of an object."""
    if ":" in value:
        value = ITEM_NAME.sub("\n", value)
    return value.translate(NO_MARKS)


def neighbours(match: re.Match[str]) -> int:
    """Count the groups of four digits before and after a match that continue its pattern."""
    start, end = match.span("v")
    between = NAMED if ":" in match["v"] else UNNAMED
    before = re.search(
        rf"(?:(?<!\d)\d{{4}}{between}){{1,3}}\Z", match.string[max(0, start - NEAR) : start]
    )
    after = re.match(rf"(?:{between}\d{{4}}(?!\d)){{1,3}}", match.string[end : end + NEAR])
    return sum(len(re.findall(r"\d{4}(?!\d)", found[0])) for found in (before, after) if found)


NO_MARKS = str.maketrans("", "", " \t\n,;|._/·•-")
ITEM_NAME = re.compile(NAMED)

WORDS = (
    "card|visa|mastercard|maestro|amex|pan|karte|kartennummer|kreditkarte|carte|tarjeta|carta|"
    "cartao|kaart|карта|карты|номер карты"
)

ALONE = r"(?<![a-z0-9])(?<!\d\.)"


def numbers(value: str, confidence: float, check: Check) -> Rule:
    """Return a rule whose matches may overlap, so that no match hides a card beside it."""
    pattern = compiled(rf"{ALONE}(?=(?P<v>{value}){END})")
    return Rule("CreditCard", pattern, confidence, check, in_links=False)


CARDS = (
    numbers(four_by_four(MARK), 0.95, is_card),
    numbers(
        rf"\d{{12,19}}|{other_groups(MARK)}|\d{{6}}{MARK}\d{{6,13}}|"
        r"(?<!\d[ .-])\d(?:[ .-]\d){11,18}(?![ .-]\d)",
        0.95,
        is_card,
    ),
    numbers(four_by_four(ITEM), 0.8, is_card_in_items),
    numbers(other_groups(ITEM), 0.8, is_card_in_items),
    Rule(
        "CreditCard",
        beside(WORDS, r"(?P<v>\d(?:[ \t\n._,-]{0,3}\d){11,18})(?!\d)"),
        0.95,
        is_card_beside_word,
    ),
)
