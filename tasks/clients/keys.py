"""The form of an API key: `octollm_`, 8 characters that name it, 43 random ones, 6 of a checksum.

Secret scanners recognise keys by their beginning. The checksum refuses a mistyped key without the
database. Only the digest of a key is stored; since the key is random, a plain hash is safe.
"""

import hashlib
import re
import secrets
import string
import zlib
from typing import Final

BEGINNING: Final = "octollm_"
PREFIX_CHARACTERS: Final = 8
# As many as 256 bits need.
RANDOM_CHARACTERS: Final = 43
# As many as 32 bits need.
CHECKSUM_CHARACTERS: Final = 6
DIGEST_BYTES: Final = 32

_ALPHABET: Final = string.digits + string.ascii_letters
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]
_KEY: Final = re.compile(
    rf"{BEGINNING}[0-9A-Za-z]{{{PREFIX_CHARACTERS + RANDOM_CHARACTERS + CHECKSUM_CHARACTERS}}}"
)
# A JSON object in base64, and two more parts (RFC 7515). The pattern never goes back, because a
# name in a body may have a million characters.
_TOKEN: Final = re.compile(r"(?<![\w-])(?>[\w-]*?eyJ)[\w-]++\.[\w-]*+\.")


def new_key() -> str:
    characters = PREFIX_CHARACTERS + RANDOM_CHARACTERS
    unchecked = BEGINNING + "".join(secrets.choice(_ALPHABET) for _ in range(characters))
    return unchecked + _checksum(unchecked)


def is_well_formed(key: str) -> bool:
    """Return whether `key` has the form of a key and the right checksum."""
    if not _KEY.fullmatch(key):
        return False
    unchecked, checksum = key[:-CHECKSUM_CHARACTERS], key[-CHECKSUM_CHARACTERS:]
    return _checksum(unchecked) == checksum


def contains_credential(text: str) -> bool:
    """Return whether a part of `text` has the form of a key, whatever its checksum, or a token."""
    return _KEY.search(text) is not None or _TOKEN.search(text) is not None


def prefix_of(key: str) -> str:
    """Return the characters that name `key`, which are no secret."""
    return key.removeprefix(BEGINNING)[:PREFIX_CHARACTERS]


def digest_of(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _checksum(text: str) -> str:
    """Return the CRC-32 of `text` in base 62, by two digits at a time."""
    rest, last = divmod(zlib.crc32(text.encode()), len(_PAIRS))
    first, middle = divmod(rest, len(_PAIRS))
    return _PAIRS[first] + _PAIRS[middle] + _PAIRS[last]
