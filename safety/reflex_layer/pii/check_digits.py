"""Fast check digits, since a long text may need thousands of them.

Those of python-stdnum take ten times as long.
"""

import re
from functools import lru_cache
from hashlib import sha256

from stdnum import numdb

# The value of every second digit, counted from the right: the digit sum of its double.
DOUBLED = bytes.maketrans(b"0123456789", bytes([0, 2, 4, 6, 8, 1, 3, 5, 7, 9]))
ZERO = ord("0")

# The letters have the values from ten upwards.
LETTER_VALUES = str.maketrans({chr(ord("a") + place): str(10 + place) for place in range(26)})
BETWEEN_GROUPS = str.maketrans("", "", " -")
LEADING_CHARACTERS = 4
CHARACTERS_OF_A_FORM = {"n": "0-9", "a": "a-z", "c": "a-z0-9"}

BASE_58 = {
    digit: value
    for value, digit in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
}
ADDRESS_BYTES = 25
CHECK_BYTES = 4


def passes_luhn(number: str) -> bool:
    """Return whether the last digit is the Luhn check digit of the others."""
    turned = number[::-1].encode()
    plain = turned[::2]
    return (sum(plain) - ZERO * len(plain) + sum(turned[1::2].translate(DOUBLED))) % 10 == 0


def passes_ean(number: str) -> bool:
    """Return whether the last digit is the check digit of a product code (EAN)."""
    turned = number[::-1].encode()
    once, thrice = turned[::2], turned[1::2]
    return (sum(once) + 3 * sum(thrice) - ZERO * (len(once) + 3 * len(thrice))) % 10 == 0


def is_iban(number: str) -> bool:
    """Return whether a lower-case number has the check digits of an IBAN and its country's form.

    Blanks and dashes are allowed between its groups.
    """
    plain = number.translate(BETWEEN_GROUPS)
    turned = plain[LEADING_CHARACTERS:] + plain[:LEADING_CHARACTERS]
    if int(turned.translate(LETTER_VALUES)) % 97 != 1:
        return False
    form = form_of_account(plain[:2])
    return form is not None and form.fullmatch(plain, LEADING_CHARACTERS) is not None


@lru_cache
def form_of_account(country: str) -> re.Pattern[str] | None:
    """Return the pattern after the check digits of a country's IBAN, from the registry."""
    _, properties = numdb.get("iban").info(country.upper())[0]
    parts = re.findall(r"(\d+)!([nac])", properties.get("bban", ""))
    if not parts:
        return None
    return re.compile(
        "".join(f"[{CHARACTERS_OF_A_FORM[kind]}]{{{count}}}" for count, kind in parts)
    )


def passes_base58check(address: str) -> bool:
    """Return whether a Bitcoin address ends in the checksum of the rest of it."""
    number = 0
    for digit in address:
        number = number * len(BASE_58) + BASE_58[digit]
    if number >> 8 * ADDRESS_BYTES:
        return False
    content = number.to_bytes(ADDRESS_BYTES)
    digest = sha256(sha256(content[:-CHECK_BYTES]).digest()).digest()
    return content[-CHECK_BYTES:] == digest[:CHECK_BYTES]
