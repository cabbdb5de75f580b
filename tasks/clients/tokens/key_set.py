"""The keys in a JSON Web Key Set (RFC 7517) that can check a token."""

import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

# A key by its id and its algorithm (the `kid` and `alg` of a token).
Keys = Mapping[tuple[str, str], PyJWK]

RS256, ES256, EDDSA = ALGORITHMS = ("RS256", "ES256", "EdDSA")
# RFC 7518, section 3.3, asks for 2048 bits. Checking a signature takes time with longer keys.
RSA_BITS: Final = range(2048, 8192 + 1)
# What a public key is made of. Without the rest, no key is ever a private one.
_MEMBERS: Final = ("kty", "crv", "n", "e", "x", "y")


class NoKeySet(Exception):
    """The document is not a key set."""


def usable_keys(document: bytes) -> Keys:
    """Return the keys of a set; those of other algorithms and for other uses are left out.

    Of several keys with the same id and algorithm, the last one counts.

    Raises:
        NoKeySet
    """
    try:
        members = json.loads(document)["keys"]
        if not isinstance(members, list):
            raise NoKeySet
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise NoKeySet from error
    found = {}
    for member in members:
        key = _key(member) if isinstance(member, dict) else None
        if key is not None:
            found[member["kid"], key.algorithm_name] = key
    return found


def _key(member: Mapping[str, Any]) -> PyJWK | None:
    algorithm = _algorithm(member)
    if algorithm is None or not isinstance(member.get("kid"), str):
        return None
    try:
        key = PyJWK({name: member[name] for name in _MEMBERS if name in member}, algorithm)
    except (PyJWTError, ValueError, TypeError, AttributeError):
        return None
    if isinstance(key.key, RSAPublicKey) and key.key.key_size not in RSA_BITS:
        return None
    return key


def _algorithm(member: Mapping[str, Any]) -> str | None:
    """Return the one algorithm that the key is used with here."""
    match member:
        case {"kty": "RSA"}:
            algorithm = RS256
        case {"kty": "EC", "crv": "P-256"}:
            algorithm = ES256
        case {"kty": "OKP", "crv": "Ed25519"}:
            algorithm = EDDSA
        case _:
            return None
    is_for_signatures = member.get("use", "sig") == "sig"
    operations = member.get("key_ops", ["verify"])
    if not is_for_signatures or not isinstance(operations, list) or "verify" not in operations:
        return None
    return algorithm if member.get("alg", algorithm) == algorithm else None
