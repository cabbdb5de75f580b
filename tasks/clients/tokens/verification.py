"""What makes a token good: its form, its signature and its claims. No statement is needed."""

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import jwt
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    PyJWTError,
)
from jwt.types import Options

from tasks.clients.exceptions import CredentialsRefused
from tasks.clients.scopes import Scope
from tasks.clients.tokens.key_ring import UNKNOWN_KEY, KeyRing
from tasks.clients.tokens.key_set import ALGORITHMS

# Longer ones do not arrive: gunicorn takes no header of more than 8,190 bytes.
MAX_TOKEN_CHARACTERS: Final = 8_190
MAX_SUBJECT_CHARACTERS: Final = 255
# How far the clock of the issuer may be off.
LEEWAY_SECONDS: Final = 30
_OPTIONS: Final[Options] = {"require": ["exp", "iss", "aud", "sub"]}

MALFORMED: Final = "malformed"
ALGORITHM: Final = "algorithm"
ISSUER: Final = "issuer"
SIGNATURE: Final = "signature"
EXPIRED: Final = "expired"
NOT_YET_VALID: Final = "not_yet_valid"
AUDIENCE: Final = "audience"
CLAIMS: Final = "claims"
# Why a token is refused.
CAUSES: Final = (
    MALFORMED,
    ALGORITHM,
    ISSUER,
    UNKNOWN_KEY,
    SIGNATURE,
    EXPIRED,
    NOT_YET_VALID,
    AUDIENCE,
    CLAIMS,
)
_CAUSES: Final[dict[type[PyJWTError], str]] = {
    InvalidSignatureError: SIGNATURE,
    ExpiredSignatureError: EXPIRED,
    ImmatureSignatureError: NOT_YET_VALID,
    InvalidAudienceError: AUDIENCE,
}


class Claims(NamedTuple):
    """What a good token says.

    Attributes:
        subject: who shows it; unique only together with the issuer.
        scopes: values of `Scope`; others that the issuer granted are left out.
    """

    subject: str
    scopes: frozenset[str]
    expires_at: datetime


class Verifier:
    """Checks the tokens of one issuer.

    Args:
        issuer: what a token has to name as `iss`.
        audience: what a token has to name as `aud`, alone or among others.
        keys: the keys of the issuer.
    """

    def __init__(self, *, issuer: str, audience: str, keys: KeyRing) -> None:
        self.issuer = issuer
        self.keys = keys
        self._audience = audience

    def verify(self, token: str) -> Claims:
        """Return what the token says.

        Raises:
            CredentialsRefused: the token is not good.
            KeysUnavailable: whether it is good cannot be found out now.
        """
        kid, algorithm = self._announced(token)
        key = self.keys.find(kid, algorithm)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self.issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options=_OPTIONS,
            )
        except PyJWTError as error:
            raise CredentialsRefused(_cause(error)) from error
        return Claims(_subject(claims), _scopes(claims), _expiry(claims))

    def _announced(self, token: str) -> tuple[str, str]:
        """Return the key's id and the algorithm that the token names, of which nothing is proved.

        Raises:
            CredentialsRefused: the token is of no use, whatever its signature is.
        """
        if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            raise CredentialsRefused(MALFORMED)
        try:
            unproved = jwt.decode_complete(token, options={"verify_signature": False})
        except PyJWTError as error:
            raise CredentialsRefused(MALFORMED) from error
        header, claims = unproved["header"], unproved["payload"]
        if header.get("alg") not in ALGORITHMS:
            raise CredentialsRefused(ALGORITHM)
        # A token of another issuer must not cause a fetch of this one's keys.
        if claims.get("iss") != self.issuer:
            raise CredentialsRefused(ISSUER)
        if "kid" not in header:
            raise CredentialsRefused(UNKNOWN_KEY)
        return header["kid"], header["alg"]


def _cause(error: PyJWTError) -> str:
    if isinstance(error, MissingRequiredClaimError) and error.claim == "aud":
        return AUDIENCE
    return _CAUSES.get(type(error), CLAIMS)


def _subject(claims: dict[str, Any]) -> str:
    subject: str = claims["sub"]
    # Characters that cannot be printed could make a log line or a page show another name.
    if not 1 <= len(subject) <= MAX_SUBJECT_CHARACTERS or not subject.isprintable():
        raise CredentialsRefused(CLAIMS)
    return subject


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    """Return the scopes of `scope` (RFC 9068) or `scp`, a text or a list."""
    granted = claims.get("scope", claims.get("scp", ""))
    if isinstance(granted, str):
        granted = granted.split(" ")
    if not isinstance(granted, list):
        raise CredentialsRefused(CLAIMS)
    return frozenset(scope.value for scope in Scope if scope.value in granted)


def _expiry(claims: dict[str, Any]) -> datetime:
    try:
        return datetime.fromtimestamp(int(claims["exp"]), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise CredentialsRefused(CLAIMS) from error
