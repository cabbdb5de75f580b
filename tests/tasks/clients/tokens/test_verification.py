"""Good tokens, and forged ones."""

import json
import math
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.clients.exceptions import CredentialsRefused
from tasks.clients.tokens.verification import MAX_TOKEN_CHARACTERS, Claims
from tests.issuer import ABSENT, AUDIENCE, Issuer
from tests.tasks.clients.tokens.trusting import verifier

ALGORITHMS = ("RS256", "ES256", "EdDSA")
OTHER = "https://other.example"


def refusal(issuer: Issuer, token: str) -> str:
    """Return why a token is refused."""
    with pytest.raises(CredentialsRefused) as refused:
        verifier(issuer).verify(token)
    return refused.value.cause


def accepted(issuer: Issuer, **changes: Any) -> Claims:
    return verifier(issuer).verify(issuer.sign(**changes))


@pytest.mark.parametrize("path", ["", "/", "/realms/company"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_that_a_client_gets_from_its_issuer_is_good(algorithm: str, path: str) -> None:
    with Issuer(algorithm=algorithm, path=path) as issuer:
        claims = verifier(issuer).verify(issuer.token("reporting", "task:read task:submit openid"))
    assert (claims.subject, claims.scopes) == ("reporting", {"task:read", "task:submit"})
    seconds = (claims.expires_at - datetime.now(UTC)).total_seconds()
    assert 3590 <= seconds <= 3600


# What a token may say


@pytest.mark.parametrize(
    "audience", [AUDIENCE, [AUDIENCE], [OTHER, AUDIENCE]], ids=["text", "list", "one of two"]
)
def test_our_audience_may_be_one_of_several(issuer: Issuer, audience: Any) -> None:
    assert accepted(issuer, aud=audience).subject == "reporting"


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "task:read task:cancel"}, {"task:read", "task:cancel"}),
        ({"scope": ["task:read"]}, {"task:read"}),
        ({"scope": ABSENT, "scp": "task:submit"}, {"task:submit"}),
        ({"scope": ABSENT, "scp": ["gate:dry_run", "openid"]}, {"gate:dry_run"}),
        # The standard's claim wins.
        ({"scope": "task:read", "scp": "task:submit"}, {"task:read"}),
        ({"scope": ""}, set()),
        ({"scope": ABSENT}, set()),
        ({"scope": "task TASK:READ task:readx xtask:read task:read\ttask:submit"}, set()),
        ({"scope": [["task:read"], 7, None]}, set()),
        # Only design.md's claims give scopes.
        ({"scope": ABSENT, "roles": ["task:read"], "permissions": ["task:read"]}, set()),
    ],
)
def test_a_token_may_do_what_its_scopes_say(
    issuer: Issuer, claims: dict[str, Any], scopes: set[str]
) -> None:
    assert accepted(issuer, **claims).scopes == scopes


@pytest.mark.parametrize("subject", ["a", "x" * 255, "auth0|5f7c", "id@clients", "Zoë 東京"])
def test_a_subject_may_have_any_printable_characters(issuer: Issuer, subject: str) -> None:
    assert accepted(issuer, sub=subject).subject == subject


@pytest.mark.parametrize(
    "claims",
    [
        {"nbf": ABSENT, "iat": ABSENT},
        {"iat": ABSENT, "jti": ABSENT, "client_id": ABSENT, "scope": ABSENT},
    ],
    ids=["no times", "nothing else"],
)
def test_a_token_needs_no_more_than_the_required_claims(
    issuer: Issuer, claims: dict[str, Any]
) -> None:
    assert accepted(issuer, **claims).subject == "reporting"


@pytest.mark.parametrize(
    ("claim", "seconds", "cause"),
    [
        ("exp", -25, None),
        ("exp", -35, "expired"),
        ("nbf", 25, None),
        ("nbf", 35, "not_yet_valid"),
        ("iat", 25, None),
        ("iat", 35, "not_yet_valid"),
    ],
)
def test_clocks_may_differ_by_half_a_minute(
    issuer: Issuer, claim: str, seconds: int, cause: str | None
) -> None:
    token = issuer.sign(**{claim: int(time.time()) + seconds})
    if cause is None:
        assert verifier(issuer).verify(token).subject == "reporting"
    else:
        assert refusal(issuer, token) == cause


# Forged tokens


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"iss": OTHER}, "issuer"),
        ({"iss": ABSENT}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"iss": [OTHER]}, "issuer"),
        ({"aud": OTHER}, "audience"),
        ({"aud": [OTHER]}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": [AUDIENCE, 7]}, "audience"),
        ({"aud": {AUDIENCE: True}}, "audience"),
        ({"aud": AUDIENCE + "/"}, "audience"),
        ({"aud": AUDIENCE.upper()}, "audience"),
        ({"aud": ABSENT}, "audience"),
        ({"aud": None}, "audience"),
        ({"sub": ABSENT}, "claims"),
        ({"sub": None}, "claims"),
        ({"sub": ""}, "claims"),
        ({"sub": 7}, "claims"),
        ({"sub": ["reporting"]}, "claims"),
        ({"sub": "x" * 256}, "claims"),
        ({"sub": "two\nlines"}, "claims"),
        ({"sub": "nul\0"}, "claims"),
        ({"sub": "\u202egnitroper"}, "claims"),
        ({"sub": "\ud800"}, "claims"),
        ({"exp": ABSENT}, "claims"),
        ({"exp": None}, "claims"),
        ({"exp": "tomorrow"}, "claims"),
        ({"exp": "4000000000"}, "claims"),
        ({"exp": True}, "expired"),
        ({"exp": math.inf}, "claims"),
        ({"exp": math.nan}, "claims"),
        # After the last day of all calendars, and of all clocks.
        ({"exp": 10**12}, "claims"),
        ({"exp": 10**30}, "claims"),
        ({"exp": 0}, "expired"),
        ({"exp": -(10**30)}, "expired"),
        ({"nbf": "today"}, "claims"),
        ({"iat": {}}, "claims"),
        ({"jti": 7}, "claims"),
        ({"scope": 7}, "claims"),
        ({"scope": {"task:read": True}}, "claims"),
        ({"scope": None}, "claims"),
    ],
    ids=str,
)
def test_a_token_with_other_claims_is_refused(
    issuer: Issuer, changes: dict[str, Any], cause: str
) -> None:
    assert refusal(issuer, issuer.sign(**changes)) == cause


@pytest.mark.parametrize(
    "name",
    ["none", "None", "", "HS256", "HS512", "RS512", "PS256", "ES384", "ES256K", "Ed25519", "rs256"],
)
def test_only_three_algorithms_are_accepted(issuer: Issuer, name: str) -> None:
    assert refusal(issuer, issuer.sign(headers={"alg": name})) == "algorithm"


@pytest.mark.parametrize("name", [7, None, ["RS256"], {"RS256": 1}, ABSENT], ids=str)
def test_an_algorithm_is_a_name(issuer: Issuer, name: Any) -> None:
    assert refusal(issuer, issuer.sign(headers={"alg": name})) == "algorithm"


@pytest.mark.parametrize("signature", ["", "e30"])
def test_a_token_without_a_signature_is_refused(issuer: Issuer, signature: str) -> None:
    signed = issuer.sign().rpartition(".")[0]
    unsigned = issuer.sign(headers={"alg": "none"}).rpartition(".")[0]
    assert refusal(issuer, f"{signed}.{signature}") == "signature"
    assert refusal(issuer, f"{unsigned}.{signature}") == "algorithm"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_public_key_is_no_secret_to_sign_with(algorithm: str) -> None:
    with Issuer(algorithm=algorithm) as issuer:
        public = issuer.key.as_pem(private=False)
        forged = issuer.sign(headers={"alg": "HS256"}, secret=public)
        assert refusal(issuer, forged) == "algorithm"
        assert refusal(issuer, issuer.sign(secret=public)) == "signature"


@pytest.mark.parametrize("claimed", ALGORITHMS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_works_with_its_own_algorithm_only(algorithm: str, claimed: str) -> None:
    with Issuer(algorithm=algorithm) as issuer:
        token = issuer.sign(headers={"alg": claimed})
        if claimed == algorithm:
            assert verifier(issuer).verify(token).subject == "reporting"
        else:
            assert refusal(issuer, token) == "unknown_key"


def test_a_changed_token_is_refused(issuer: Issuer) -> None:
    header, _, signature = issuer.sign().split(".")
    claims = issuer.sign(scope="task:read task:cancel").split(".")[1]
    assert refusal(issuer, f"{header}.{claims}.{signature}") == "signature"


def test_another_issuer_cannot_sign_for_ours(issuer: Issuer) -> None:
    with Issuer() as other:
        forged = other.sign(headers={"kid": issuer.kid}, iss=issuer.url)
        assert refusal(issuer, forged) == "signature"
        assert refusal(issuer, other.sign(iss=issuer.url)) == "unknown_key"
        assert refusal(issuer, other.token()) == "issuer"
        assert not other.requests[1:]


@pytest.mark.parametrize("kid", ["other", "", "../../../etc/passwd", "' OR 1=1 --", "x" * 4_000])
def test_a_key_that_is_not_published_is_refused(issuer: Issuer, kid: str) -> None:
    assert refusal(issuer, issuer.sign(headers={"kid": kid})) == "unknown_key"


@pytest.mark.parametrize(
    ("kid", "cause"),
    [(ABSENT, "unknown_key"), (None, "malformed"), (7, "malformed"), (["a"], "malformed")],
    ids=str,
)
def test_a_token_names_its_key(issuer: Issuer, kid: Any, cause: str) -> None:
    assert refusal(issuer, issuer.sign(headers={"kid": kid})) == cause


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["https://other.example/extension"]},
        {"crit": []},
        {"crit": "b64"},
        {"crit": [7]},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
    ],
    ids=str,
)
def test_a_critical_header_that_is_not_understood_is_refused(
    issuer: Issuer, header: dict[str, Any]
) -> None:
    assert refusal(issuer, issuer.sign(headers=header)) == "malformed"


@pytest.mark.parametrize("header", ["jwk", "jku", "x5u", "x5c"])
def test_a_key_inside_a_token_is_never_used(issuer: Issuer, header: str) -> None:
    with Issuer() as forger:
        inside = {
            "jwk": forger.key.as_dict(private=False),
            "jku": forger.keys_url,
            "x5u": forger.keys_url,
            "x5c": [forger.key.as_pem(private=False).decode()],
        }
        headers = {"kid": issuer.kid, header: inside[header]}
        assert refusal(issuer, forger.sign(headers=headers, iss=issuer.url)) == "signature"
        headers["kid"] = forger.kid
        assert refusal(issuer, forger.sign(headers=headers, iss=issuer.url)) == "unknown_key"
        assert forger.requests == []


# What is no token


def test_a_token_inside_of_a_token_is_refused(issuer: Issuer) -> None:
    nested = issuer.sign(claims=issuer.sign().encode(), headers={"cty": "JWT"})
    assert refusal(issuer, nested) == "malformed"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_json_is_refused(issuer: Issuer, opening: bytes) -> None:
    deep = opening * (5_000 // len(opening))
    assert refusal(issuer, issuer.sign(claims=deep)) == "malformed"
    header = issuer.sign(claims=deep).split(".")[1]
    _, claims, signature = issuer.sign().split(".")
    assert refusal(issuer, f"{header}.{claims}.{signature}") == "malformed"


@pytest.mark.parametrize("characters", [MAX_TOKEN_CHARACTERS + 1, 1_000_000])
def test_a_token_that_is_too_long_is_refused_unread(issuer: Issuer, characters: int) -> None:
    token = issuer.sign(padding="x" * characters)[:characters]
    assert len(token) == characters
    started = time.process_time()
    assert refusal(issuer, token) == "malformed"
    assert issuer.requests == []
    assert time.process_time() - started < 0.05


def test_a_good_token_that_is_too_long_is_refused(issuer: Issuer) -> None:
    missing = MAX_TOKEN_CHARACTERS - len(issuer.sign(padding=""))
    token = issuer.sign(padding="x" * (missing * 3 // 4 + 3))
    assert MAX_TOKEN_CHARACTERS < len(token) <= MAX_TOKEN_CHARACTERS + 8
    assert refusal(issuer, token) == "malformed"
    assert issuer.requests == []


def test_a_long_token_is_good_if_it_fits(issuer: Issuer) -> None:
    missing = MAX_TOKEN_CHARACTERS - len(issuer.sign(padding=""))
    token = issuer.sign(padding="x" * (missing * 3 // 4))
    assert MAX_TOKEN_CHARACTERS - 4 <= len(token) <= MAX_TOKEN_CHARACTERS
    assert verifier(issuer).verify(token).subject == "reporting"


@pytest.mark.parametrize(
    "token",
    [
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c",
        "e30.e30.e30.e30.e30",
        "e30.e30.",
        "é.e30.e30",
        "e30.e30.\0",
        "bnVsbA.bnVsbA.bnVsbA",
        "octollm_" + "a" * 57 + ".",
    ],
)
def test_what_is_no_token_is_refused(issuer: Issuer, token: str) -> None:
    assert refusal(issuer, token) in ("malformed", "algorithm")
    assert issuer.requests == []


@pytest.mark.parametrize(
    "claims", [b"", b"7", b"null", b"[]", b'"text"', b"\xff", b"{", b"{}{}", b'{"exp":1e999999}']
)
def test_claims_are_a_json_object(issuer: Issuer, claims: bytes) -> None:
    assert refusal(issuer, issuer.sign(claims=claims)) in ("malformed", "issuer")


def test_a_number_of_many_digits_is_refused(issuer: Issuer) -> None:
    good = json.dumps({"iss": issuer.url, "aud": AUDIENCE, "sub": "a"})[:-1]
    assert refusal(issuer, issuer.sign(claims=f'{good},"exp":{"9" * 5_000}}}'.encode())) == (
        "malformed"
    )
