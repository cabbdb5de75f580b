"""Checks that distinguish personal data from other text of the same form.

Each check takes a match of a rule's pattern, whose group `v` is the value, and returns whether
the value is personal data.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_network

from stdnum import bitcoin
from stdnum.us import itin, rtn

from . import check_digits
from .phones import DATE, MANY_ZEROS, is_national

# After these words, four numbers are a version or a chapter, not an address.
BEFORE_A_VERSION = re.compile(
    r"(?:(?<![a-z])(?:version|ver|release|build|revision|firmware|driver|section|chapter|clause|"
    r"paragraph|figure|table|step|item|schema|spec)s?[\s:=.#]{0,3}v?|"
    r"(?:==|>=|<=|~=|!=|\^|~|§)\s?|[a-z]/|"
    r"(?:upgrad|updat|bump|downgrad|migrat|mov|compar|releas|version)\w{0,4}\s"
    r"[^\n,;]{1,30}\s(?:to|from|with|and|or|than)\s)\Z"
)
LOOK_BEHIND_CHARACTERS = 60
PREFIX_LENGTH = re.compile(r"/(\d{1,3})(?!\d)")

# First groups of the addresses of machines: global, unique local and link-local.
IPV6_OF_MACHINES = re.compile("[23][0-9a-f]{3}:|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:")
FEWEST_IPV6_GROUPS = 3
NOT_DIGITS = re.compile(r"\D+")

# Names that look like the domain of an e-mail address: versions, images for a pixel density,
# systemd units.
NO_DOMAIN = re.compile(r"v?\d+\.\d|\dx\.|.*\.\.")
NO_TOP = frozenset(
    "avif css gif htm html ico jpeg jpg js json jsx log mount png scope service slice socket "
    "svg timer toml ts tsx txt webp xml yaml yml".split()
)
UNIT = re.compile(r"[^.]+\.target")
# The user of a Git remote such as `git@host:path`.
REPOSITORY_USERS = ("git", "hg")
WORD_TOPS = re.compile(r"(?:com|org|net|edu|gov|io|info|biz|eu|[a-z]{2})")

# Public DNS resolvers are not personal data.
PUBLIC_RESOLVERS = frozenset(
    "1.1.1.1 1.0.0.1 8.8.8.8 8.8.4.4 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220 "
    "4.2.2.1 4.2.2.2 94.140.14.14 94.140.15.15 114.114.114.114 223.5.5.5 77.88.8.8".split()
)

# Words before the number of an account that is not a bank account.
BEFORE_AN_ACCOUNT = re.compile(
    r"(?<![a-z])(?:aws|amazon|azure|cloud|gcp|google|github|gitlab|user|customer|client|member|"
    r"test|demo|sample|example|ledger|service|tenant|root|subscription|meter)\W{1,3}\Z"
)
OLDEST_BIRTH_YEAR = 1900


def digits(match: re.Match[str]) -> str:
    """Return only the digits of the value."""
    return NOT_DIGITS.sub("", match["v"])


def is_ssn(match: re.Match[str]) -> bool:
    """Reject areas, groups and serials that are never issued."""
    number = digits(match)
    area, group, serial = number[:3], number[3:5], number[5:]
    return not (area in {"000", "666"} or area > "899" or group == "00" or serial == "0000")


def is_ssn_alone(match: re.Match[str]) -> bool:
    """Distinguish an SSN without a word beside it from three numbers of a list."""
    return is_ssn(match) and ("-" in match["v"] or is_national(match))


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
    """Reject addresses without an owner, such as the one of zeros only."""
    return len(set(match["v"][2:])) > 1


def is_number(match: re.Match[str]) -> bool:
    """Reject dates, and numbers with many zeros in a row."""
    return not DATE.match(match["v"]) and MANY_ZEROS not in digits(match)


def is_account(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - LOOK_BEHIND_CHARACTERS) : match.start()]
    return is_number(match) and not BEFORE_AN_ACCOUNT.search(before)


def is_birth(match: re.Match[str]) -> bool:
    """Reject birth dates of people who died long ago."""
    year = re.search(r"(?<!\d)\d{4}(?!\d)", match["v"])
    return not year or int(year[0]) >= OLDEST_BIRTH_YEAR


def is_mail(match: re.Match[str]) -> bool:
    """Distinguish an e-mail address from a package, an image, a systemd unit or a repository."""
    local, _, domain = match["v"].rpartition("@")
    if local in REPOSITORY_USERS and match.string[match.end("v") :][:1] in (":", "/"):
        return False
    top = domain.rpartition(".")[2]
    return not (top in NO_TOP or NO_DOMAIN.match(domain) or UNIT.fullmatch(domain))


def is_mail_in_words(match: re.Match[str]) -> bool:
    """Distinguish "jane at example dot com" from an ordinary sentence."""
    top = re.split(r"[^a-z0-9]+", match["v"])[-1]
    return bool(WORD_TOPS.fullmatch(top)) and top not in NO_TOP


def is_ipv4(match: re.Match[str]) -> bool:
    """Reject versions, networks, masks, loopback addresses and public resolvers."""
    if match["v"] in PUBLIC_RESOLVERS:
        return False
    try:
        address = IPv4Address(match["v"])
    except AddressValueError:
        return False
    if address.is_loopback or address.packed[0] in {0, 255} or str(address) in PUBLIC_RESOLVERS:
        return False
    before = match.string[max(0, match.start() - LOOK_BEHIND_CHARACTERS) : match.start()]
    return not BEFORE_A_VERSION.search(before) and not is_network(address, match)


def is_network(address: IPv4Address | IPv6Address, match: re.Match[str]) -> bool:
    """Distinguish a whole network such as 10.0.0.0/8 from one machine with its mask."""
    prefix = PREFIX_LENGTH.match(match.string, match.end())
    if not prefix:
        return False
    try:
        network = ip_network(f"{address}/{prefix[1]}")
    except ValueError:
        return False
    return network.num_addresses > 1


def is_ipv6(match: re.Match[str]) -> bool:
    """Distinguish an address from a slice such as "[1::2]" or a path such as "a::b"."""
    value = match["v"]
    groups = [group for group in value.split(":") if group]
    if len(groups) < FEWEST_IPV6_GROUPS and not IPV6_OF_MACHINES.match(value):
        return False
    try:
        address = IPv6Address(value)
    except AddressValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or is_network(address, match))


def is_mac(match: re.Match[str]) -> bool:
    """Reject broadcast and empty addresses, and lists of numbers joined by dashes."""
    value = match["v"]
    if len(set(re.sub("[^0-9a-f]", "", value))) == 1:
        return False
    return ":" in value or bool(re.search("[a-f]", value))
