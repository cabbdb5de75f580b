"""Telephone numbers as they are written in many countries, and checks that reject others."""

import re
from itertools import pairwise

from stdnum import isbn

from ..matching.patterns import Check, Rule, beside, compiled

DATE = re.compile(
    r"\D*(?:(?:19|20)\d\d[-./ ]\d{1,2}[-./ ]\d{1,2}(?!\d)|"
    r"\d{1,2}[-./ ]\d{1,2}[-./ ](?:19|20)\d\d(?!\d))"
)
EPOCH_SECONDS = re.compile(r"1[4-9]\d{8}")
MANY_ZEROS = "000000"

# After these words, a number is an amount or an id.
BEFORE_AN_ID = re.compile(
    r"(?:(?<![a-z])(?:order|invoice|ticket|tracking|parcel|shipment|booking|reservation|article|"
    r"item|part|serial|batch|lot|model|asset|contract|policy|isbn|issn|ean|gtin|upc|sku|ref|"
    r"reference|id|ids|version|build|revision|case|claim|file|record|row|rows|line|lines|range|"
    r"port|ports|values?|pixels|sum|total|amount|revenue|price|cost|budget|population|"
    r"bestellung|rechnung|auftrag|artikel|commande|facture|pedido|factura|ordine|fattura|numbers)"
    r"(?:[ _-]?(?:number|num|no|nr|code|id))?[\s:=#.\"'(]{0,4}(?:is |of |was |to )?|"
    r"[$€£¥#=<>*/+\u00d7^]\s?|\d[ ,;:-]{1,3})\Z"
)
AFTER_AN_AMOUNT = re.compile(
    r"\s?(?:[%€$£¥°*/+\u00d7=^]|(?:eur|usd|gbp|chf|pln|kg|km|mb|gb|kb|bytes?|rows?|records?|"
    r"users?|items?|"
    r"lines?|pixels?|px|files?|units?|people|tokens|requests|customers|euros?|dollars?|zloty|"
    r"seconds?|ms|inhabitants|points|samples|entries|events|tonnes|times)\b|[ ,;-]{1,2}\d)"
)
# A postcode of the United States with its four additional digits (ZIP+4).
POSTCODE = re.compile(r"\d{5}-\d{4}")
LOOK_BEHIND_CHARACTERS = 40
FEWEST_DIGITS, MOST_DIGITS = 9, 12

# "x465", "ext. 12", "Durchwahl 3": part of the number, so that redaction removes it too.
EXTENSION = (
    r"(?:[ ,;]{0,3}(?:x|ext(?:ension|n)?|durchwahl|dw|poste|anexo|ramal|interno|int|toestel|#)"
    r"[.: ]{0,2}\d{1,6})?"
)
END = rf"{EXTENSION}(?![\w-]|[.,:]\d)"
ALONE = r"(?<![\w.,:+/-])"

WORDS = (
    "[a-z_]{0,20}phone|tele?|tel|telef|mobile|mobil|mobilnummer|cell|whatsapp|signal|fax|telefax|"
    "contact(?: number| no)|telefon|telefonnummer|telefonnr|rufnummer|handy|handynummer|"
    "telefono|celular|movil|cellulare|telefone|telemovel|telefoon|telefoonnummer|portable|gsm|"
    "numero de tel[a-z]{0,6}|numer telefonu|tlf|tel[. ]?nr|телефон|тел|номер|мобильный|"
    "电话|電話|手机|手機|携帯|전화"
)
VERBS = (
    "call|dial|text|sms|ring|contact|reach(?: me| us| him| her| them)?|my number|"
    "anrufen|ruf(?:e|en)?(?: sie)?(?: mich)?(?: an)?|erreichbar|appelez|appeler|appelle|"
    "joindre|joignable|llam[ae](?:r|me)?|marque|chiam[aio]{1,2}(?:re|mi)?|lig(?:ue|ar)|bel(?:len)?|"
    "zadzwon|позвони(?:те)?|звоните"
)


def digits(match: re.Match[str]) -> str:
    return re.sub(r"\D", "", match["v"])


def is_international(match: re.Match[str]) -> bool:
    """Distinguish "+44 20 7946 0958" from a large difference such as "+50000000"."""
    # A trunk zero in brackets is not a separate group.
    value = match["v"].partition("x")[0].replace("(0)", "")
    number = re.sub(r"\D", "", value).removeprefix("00")
    if MANY_ZEROS in number or DATE.match(value):
        return False
    if number.startswith("1"):
        return len(number) >= len("15551234567") and number[1] > "1"
    groups = re.findall(r"\d+", value)
    if len(groups) == 1:
        return len(number) >= len("4930123456") and value.startswith("+")
    return len(number) >= 2 * len(groups) - 1


def is_beside_word(match: re.Match[str]) -> bool:
    return not DATE.match(match["v"]) and MANY_ZEROS not in digits(match)


def is_beside_verb(match: re.Match[str]) -> bool:
    """Reject Unix timestamps: after a verb such as "call", they are as likely as a number."""
    return is_beside_word(match) and not EPOCH_SECONDS.fullmatch(match["v"])


def is_national(match: re.Match[str]) -> bool:
    """Distinguish a number without a word beside it from an id, an amount, a date or a series."""
    start, end = match.span("v")
    before = match.string[max(0, start - LOOK_BEHIND_CHARACTERS) : start]
    if BEFORE_AN_ID.search(before) or AFTER_AN_AMOUNT.match(match.string, end):
        return False
    if DATE.match(match["v"]) or MANY_ZEROS in digits(match):
        return False
    groups = re.findall(r"\d+", match["v"])
    return not is_rounded(groups) and not is_series([int(group) for group in groups])


def is_rounded(groups: list[str]) -> bool:
    """Return whether the groups end in zeros, as in a list of amounts."""
    if all(group.endswith("0") for group in groups):
        return True
    return len(groups) > 1 and all(group.endswith("00") for group in groups[1:])


def is_series(groups: list[int]) -> bool:
    """Return whether the groups go up or down by equal steps, as in a list of numbers."""
    steps = {after - before for before, after in pairwise(groups)}
    return len(groups) > len("12") and len(steps) == 1


def is_with_trunk_zero(match: re.Match[str]) -> bool:
    """Accept an area code and a number of the usual length, in any grouping."""
    number = re.sub(r"\D", "", re.split("[a-z#]", match["v"])[0])
    if POSTCODE.fullmatch(match["v"]):
        return False
    if not FEWEST_DIGITS <= len(number) <= MOST_DIGITS or not is_national(match):
        return False
    return not isbn.is_valid(number)


def phone(value: str, confidence: float, check: Check = is_national) -> Rule:
    return Rule(
        "Phone", compiled(rf"{ALONE}(?P<v>{value}{END})"), confidence, check, in_links=False
    )


# Without a country code, only the form identifies a telephone number: a trunk zero, brackets, or
# groups that only telephone numbers have.
PHONES = (
    Rule(
        "Phone",
        compiled(
            r"(?<![\w+])(?P<v>(?:\+|(?<!\d )(?<![.,:-])00)[1-9](?:[ ().\-/]{0,3}\d){7,14}"
            rf"{EXTENSION})(?!\w)"
        ),
        0.9,
        is_international,
        in_links=False,
    ),
    # North America
    Rule(
        "Phone",
        compiled(
            r"(?<![\w)])(?P<v>(?:(?:001|1)[ .-]?)?\([1-9]\d\d\)[ .-]?\d{3}[ .-]\d{4}"
            rf"{EXTENSION})(?![\w-])"
        ),
        0.9,
        in_links=False,
    ),
    phone(r"(?:(?:001|1)[ .-])?[1-9]\d\d([./-])\d{3}[.-]\d{4}", 0.85),
    phone(r"(?:1 )?[2-9]\d\d \d{3}[ -]\d{4}", 0.8),
    # A trunk zero: 020 7946 0958, 030/1234567, 06 12 34 56 78, (02) 9374 4000
    phone(
        r"(?:0[1-9]\d{0,4}|\(0[1-9]\d{0,4}\))(?:(?: ?[/.-] ?| )\d{2,8}){1,5}(?:-\d{1,4})?",
        0.8,
        is_with_trunk_zero,
    ),
    phone(r"\(0[1-9]\d{0,4}\)\d{5,8}", 0.8, is_with_trunk_zero),
    # Mobile numbers without gaps: 07700900123, 0612345678, 015112345678, 0412345678
    phone(r"0(?:7\d{9}|[67]\d{8}|1[5-7]\d{8,9}|4\d{8})", 0.7, is_with_trunk_zero),
    # Spain, Portugal, Poland, Czechia: nine digits
    phone(r"[5-9]\d\d[ .-]\d\d[ .-]\d\d[ .-]\d\d", 0.8),
    phone(r"[5-9]\d\d([ -])\d{3}[ -]\d{3}", 0.7),
    phone(r"[1-9]\d[ -]\d{3}[ -]\d\d[ -]\d\d", 0.7),
    # Italy
    phone(r"3[2-9]\d[ ./-]\d{3} ?\d{4}", 0.7),
    # India
    phone(r"[6-9]\d{4} \d{5}", 0.7),
    # Brazil
    phone(r"(?:\([1-9][1-9]\) ?|[1-9][1-9] )9? ?\d{4}[ -]\d{4}", 0.8),
    # Russia, Ukraine, Turkey
    phone(r"(?:8[ -]?)?(?:\(\d{3,4}\) ?|[2-9]\d\d[ -])\d{2,3}[ -]\d\d[ -]\d\d", 0.8),
    # China
    phone(r"1[3-9]\d([ -])\d{4}[ -]\d{4}", 0.8),
    # Toll-free numbers of Australia and other countries
    phone(r"1[38]00[ -]\d{3}[ -]\d{3}", 0.7),
    Rule(
        "Phone",
        beside(WORDS, rf"(?P<v>\+?\(?\d(?:[ ().\-/]{{0,2}}\d){{6,14}}{EXTENSION})(?![\w-])"),
        0.85,
        is_beside_word,
    ),
    Rule(
        "Phone",
        beside(VERBS, rf"(?P<v>\+?\(?\d(?:[ ().\-/]{{0,2}}\d){{8,12}}{EXTENSION})(?![\w-])"),
        0.7,
        is_beside_verb,
    ),
)
