"""Which keys of a key set can be used."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from tasks.clients.tokens.key_set import NoKeySet, usable_keys

# RSA keys take long to make.
RSA = RSAKey.generate_key(2048)
EC = ECKey.generate_key("P-256")
OKP = OKPKey.generate_key("Ed25519")


def public(key: Any, **changes: Any) -> dict[str, Any]:
    return {"kid": "a", **key.as_dict(private=False)} | changes


def usable(*members: Any) -> set[tuple[str, str]]:
    return {*usable_keys(json.dumps({"keys": members}).encode())}


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256"), (OKP, "EdDSA")], ids=["RSA", "EC", "OKP"]
)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use": "sig"},
        {"key_ops": ["verify"]},
        {"key_ops": ["sign", "verify"]},
        {"x5t": "abc", "x5c": ["abc"], "extra": {"a": 1}},
    ],
    ids=str,
)
def test_a_key_has_one_algorithm(key: Any, algorithm: str, changes: dict[str, Any]) -> None:
    assert usable(public(key, **changes)) == {("a", algorithm)}
    assert usable(public(key, alg=algorithm, **changes)) == {("a", algorithm)}


@pytest.mark.parametrize(
    "member",
    [
        public(RSA, alg="RS512"),
        public(RSA, alg="PS256"),
        public(RSA, alg="RSA-OAEP"),
        public(RSA, alg="ES256"),
        public(RSA, alg="HS256"),
        public(RSA, alg=None),
        public(OKP, alg="Ed25519"),
        public(RSA, use="enc"),
        public(RSA, use=7),
        public(RSA, key_ops=["encrypt"]),
        public(RSA, key_ops="verify"),
        public(RSA, kty="oct"),
        public(RSA, kty=["RSA"]),
        public(RSA, kid=7),
        public(RSA, n=7),
        public(RSA, n=""),
        public(RSA, n="!"),
        public(RSA, n=None),
        public(RSA, n="é"),
        public(RSA, e="AA"),
        public(RSA, e="Ag"),
        public(RSA, e=[]),
        public(EC, x="AA"),
        public(EC, x=7),
        public(EC, y=EC.as_dict(private=False)["x"]),
        public(EC, crv="P-384"),
        public(OKP, x="AA"),
        public(OKP, crv="Ed448"),
        public(ECKey.generate_key("P-384")),
        public(ECKey.generate_key("secp256k1")),
        public(OKPKey.generate_key("X25519")),
        {"kid": "a", **OctKey.generate_key(256).as_dict()},
        {"kty": "RSA", "kid": "a"},
        {"kty": "EC", "kid": "a", "crv": "P-256"},
        {},
        [],
        None,
        "RSA",
    ],
    ids=lambda member: None,
)
def test_a_key_that_cannot_be_used_is_left_out(member: Any) -> None:
    assert usable(member, public(EC, kid="b")) == {("b", "ES256")}


def test_a_key_without_an_id_is_left_out() -> None:
    member = public(RSA)
    del member["kid"]
    assert usable(member) == set()


@pytest.mark.parametrize(
    ("bits", "is_usable"), [(1024, False), (2047, False), (2048, True), (8192, True), (8193, False)]
)
def test_an_rsa_key_has_2048_to_8192_bits(*, bits: int, is_usable: bool) -> None:
    # An odd number of this size. That it has no known factors does not matter here.
    modulus = ((1 << (bits - 1)) + 1).to_bytes((bits + 7) // 8)
    encoded = urlsafe_b64encode(modulus).decode().rstrip("=")
    assert bool(usable(public(RSA, n=encoded))) == is_usable


def test_a_key_that_comes_as_a_private_one_checks_signatures_all_the_same() -> None:
    private = {"kid": "a", **RSA.as_dict(private=True)}
    keys = usable_keys(json.dumps({"keys": [private]}).encode())
    assert isinstance(keys["a", "RS256"].key, RSAPublicKey)


def test_keys_of_several_algorithms_may_have_the_same_id() -> None:
    assert usable(public(RSA), public(EC)) == {("a", "RS256"), ("a", "ES256")}


def test_a_set_may_be_empty() -> None:
    assert usable() == set()


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>Sign in</html>",
        b"\xff",
        b"null",
        b"[]",
        b"7",
        b"{}",
        b'"keys"',
        b'{"keys": null}',
        b'{"keys": {}}',
        b'{"keys": "keys"}',
        b'{"keys": [' + b"[" * 100_000,
        b'{"keys": [' + b"9" * 5_000 + b"]}",
    ],
    ids=lambda document: document[:20].decode(errors="replace"),
)
def test_what_is_no_key_set_is_refused(document: bytes) -> None:
    with pytest.raises(NoKeySet):
        usable_keys(document)
