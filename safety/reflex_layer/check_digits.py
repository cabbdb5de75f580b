"""Check digits that a long text makes us compute thousands of times.

python-stdnum has them too, at ten times the cost. What they let through it still has to
confirm where it checks more than the digits.
"""

from hashlib import sha256

# What the second digit from the right, the fourth and so on count for: the sum of the digits
# of its double.
DOUBLED = bytes.maketrans(b"0123456789", bytes([0, 2, 4, 6, 8, 1, 3, 5, 7, 9]))
ZERO = ord("0")

# Letters count from ten on.
LETTER_VALUES = str.maketrans({chr(ord("a") + place): str(10 + place) for place in range(26)})
BETWEEN_GROUPS = str.maketrans("", "", " -")
LEADING_CHARACTERS = 4

BASE_58 = {
    digit: value
    for value, digit in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
}
ADDRESS_BYTES = 25
CHECK_BYTES = 4


def passes_luhn(number: str) -> bool:
    """Tell whether the last of the digits is the check digit of the others."""
    turned = number[::-1].encode()
    plain = turned[::2]
    return (sum(plain) - ZERO * len(plain) + sum(turned[1::2].translate(DOUBLED))) % 10 == 0


def passes_mod_97(number: str) -> bool:
    """Tell whether the digits after an IBAN's country are those of its other characters.

    It takes lower case, with blanks and dashes between the groups.
    """
    plain = number.translate(BETWEEN_GROUPS)
    turned = plain[LEADING_CHARACTERS:] + plain[:LEADING_CHARACTERS]
    return int(turned.translate(LETTER_VALUES)) % 97 == 1


def passes_base58check(address: str) -> bool:
    """Tell whether an address of Bitcoin ends in the digest of the rest of it."""
    number = 0
    for digit in address:
        number = number * len(BASE_58) + BASE_58[digit]
    if number >> 8 * ADDRESS_BYTES:
        return False
    content = number.to_bytes(ADDRESS_BYTES)
    digest = sha256(sha256(content[:-CHECK_BYTES]).digest()).digest()
    return content[-CHECK_BYTES:] == digest[:CHECK_BYTES]
