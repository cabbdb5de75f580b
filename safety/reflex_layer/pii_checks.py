"""The checks that tell personal data from an ordinary number of the same shape.

Each takes the match of a rule's pattern and answers whether it is personal data. The value
is the pattern's group `v`.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address

from stdnum import bitcoin
from stdnum.us import itin, rtn

from . import check_digits

# Issuers by their leading digits, with the lengths of number they give out.
CARD_ISSUERS = (
    (re.compile("4"), {13, 16, 19}),  # Visa
    (re.compile("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), {16}),  # Mastercard
    (re.compile("3[47]"), {15}),  # American Express
    (re.compile("6011|64[4-9]|65"), set(range(16, 20))),  # Discover
    (re.compile("30[0-5]|36|3[89]"), {14, 16, 19}),  # Diners Club
    (re.compile("35(?:2[89]|[3-8])"), set(range(16, 20))),  # JCB
    (re.compile("62"), set(range(16, 20))),  # UnionPay
    (re.compile("50[12]|5893|6304|67"), set(range(13, 20))),  # Maestro
)

# Visa gave up this length long ago, and product codes of Germany and Japan look like it.
OLD_CARD_DIGITS = 13

DATE = re.compile(
    r"\D*(?:(?:19|20)\d\d[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](?:19|20)\d\d)"
)
EPOCH_SECONDS = re.compile(r"1[4-9]\d{8}")
MANY_ZEROS = "000000"
NOT_DIGITS = re.compile(r"\D+")

# Words that make four numbers a version or a chapter, not an address.
BEFORE_A_VERSION = re.compile(
    r"(?:(?<![a-z])(?:version|ver|release|build|revision|firmware|driver|section|chapter|clause|"
    r"paragraph|figure|table|step|item|schema|spec)s?[\s:=.#]{0,3}v?|"
    r"(?:==|>=|<=|~=|!=|\^|~|§)\s?|[a-z]/|"
    r"(?:upgrad|updat|bump|downgrad|migrat|mov)\w{0,4}\s[^\n,;]{1,30}\s(?:to|from)\s)\Z"
)
LOOK_BEHIND_CHARACTERS = 60
PREFIX_LENGTH = re.compile(r"/(\d{1,2})(?!\d)")

# First groups of addresses that belong to a machine: global, unique local and link-local.
IPV6_OF_MACHINES = re.compile("[23][0-9a-f]{3}:|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:")
FEWEST_IPV6_GROUPS = 3


def digits(match: re.Match[str]) -> str:
    """Return the digits of the value alone."""
    return NOT_DIGITS.sub("", match["v"])


def is_card(match: re.Match[str]) -> bool:
    value = match["v"]
    if len(value) == OLD_CARD_DIGITS and value.isdigit():
        return False
    return is_card_beside_word(match)


def is_card_beside_word(match: re.Match[str]) -> bool:
    number = digits(match)
    return check_digits.passes_luhn(number) and any(
        p.match(number) and len(number) in lengths for p, lengths in CARD_ISSUERS
    )


def is_ssn(match: re.Match[str]) -> bool:
    """Refuse the areas, groups and serials that are never given out."""
    number = digits(match)
    area, group, serial = number[:3], number[3:5], number[5:]
    return not (area in {"000", "666"} or area > "899" or group == "00" or serial == "0000")


def is_itin(match: re.Match[str]) -> bool:
    return itin.is_valid(digits(match))


def is_routing_number(match: re.Match[str]) -> bool:
    return rtn.is_valid(digits(match))


def is_iban(match: re.Match[str]) -> bool:
    return check_digits.is_iban(match["v"])


def is_bitcoin(match: re.Match[str]) -> bool:
    address = match["v"]
    if address.startswith("bc1"):
        return bool(bitcoin.is_valid(address))
    return check_digits.passes_base58check(address)


def is_ethereum(match: re.Match[str]) -> bool:
    """Refuse the addresses that belong to nobody, such as the one of zeros only."""
    return len(set(match["v"][2:])) > 1


def is_international_phone(match: re.Match[str]) -> bool:
    """Tell "+44 20 7946 0958" from a large difference such as "+50000000"."""
    number = digits(match)
    if MANY_ZEROS in number or DATE.match(match["v"]):
        return False
    if number.startswith("1"):
        return len(number) == len("15551234567") and number[1] > "1"
    groups = re.findall(r"\d+", match["v"])
    if len(groups) == 1:
        return len(number) >= len("4930123456")
    return len(number) >= 2 * len(groups)


def is_phone_beside_word(match: re.Match[str]) -> bool:
    return not DATE.match(match["v"]) and MANY_ZEROS not in digits(match)


def is_phone_beside_verb(match: re.Match[str]) -> bool:
    """After a verb such as "call" a moment in Unix seconds is as likely as a phone."""
    return is_phone_beside_word(match) and not EPOCH_SECONDS.fullmatch(match["v"])


def is_ipv4(match: re.Match[str]) -> bool:
    """Refuse what names no machine: versions, networks, masks and loopback."""
    try:
        address = IPv4Address(match["v"])
    except AddressValueError:
        return False
    if address.is_loopback or address.packed[0] in {0, 255}:
        return False
    before = match.string[max(0, match.start() - LOOK_BEHIND_CHARACTERS) : match.start()]
    return not BEFORE_A_VERSION.search(before) and not is_network(address, match)


def is_network(address: IPv4Address, match: re.Match[str]) -> bool:
    """Tell a whole network such as 10.0.0.0/8 from a machine written with its mask."""
    prefix = PREFIX_LENGTH.match(match.string, match.end())
    if not prefix:
        return False
    try:
        network = IPv4Network(f"{address}/{prefix[1]}")
    except ValueError:
        return False
    return network.num_addresses > 1


def is_ipv6(match: re.Match[str]) -> bool:
    """Tell an address from a slice such as "[1::2]" or a path such as "a::b"."""
    value = match["v"]
    groups = [group for group in value.split(":") if group]
    if len(groups) < FEWEST_IPV6_GROUPS and not IPV6_OF_MACHINES.match(value):
        return False
    try:
        address = IPv6Address(value)
    except AddressValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


def is_mac(match: re.Match[str]) -> bool:
    """Refuse broadcast and empty addresses, and lists of numbers joined by dashes."""
    value = match["v"]
    if len(set(re.sub("[^0-9a-f]", "", value))) == 1:
        return False
    return ":" in value or bool(re.search("[a-f]", value))
