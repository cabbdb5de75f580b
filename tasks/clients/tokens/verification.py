"""What makes a token good: its form, its signature and its claims. Nothing asks the database."""

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

# gunicorn refuses longer headers.
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
_CAUSE_OF_ERROR: Final[dict[type[PyJWTError], str]] = {
    InvalidSignatureError: SIGNATURE,
    ExpiredSignatureError: EXPIRED,
    ImmatureSignatureError: NOT_YET_VALID,
    InvalidAudienceError: AUDIENCE,
}


class Claims(NamedTuple):
    """What a good token says.

    Attributes:
        issuer, subject: name the client together.
        scopes: values of `Scope`; others that the issuer granted are left out.
    """

    issuer: str
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
        self._issuer = issuer
        self._keys = keys
        self._audience = audience

    def begin_fetch(self) -> None:
        """Begin to fetch the keys of the issuer."""
        self._keys.begin_fetch()

    def verify(self, token: str) -> Claims:
        """Return what the token says.

        Raises:
            CredentialsRefused: the token is not good.
            IssuerKeysUnavailable: whether it is good cannot be found out now.
        """
        key = self._keys.find(*self._key_named_by(token))
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options=_OPTIONS,
            )
        except PyJWTError as error:
            raise CredentialsRefused(_cause(error)) from error
        return Claims(self._issuer, _subject(claims), _scopes(claims), _expiry(claims))

    def _key_named_by(self, token: str) -> tuple[str, str]:
        """Return the id of the key and the algorithm that the token names, unverified.

        Raises:
            CredentialsRefused: the token is of no use, whatever its signature is.
        """
        if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            raise CredentialsRefused(MALFORMED)
        try:
            unverified = jwt.decode_complete(token, options={"verify_signature": False})
        except PyJWTError as error:
            raise CredentialsRefused(MALFORMED) from error
        header, claims = unverified["header"], unverified["payload"]
        if header.get("alg") not in ALGORITHMS:
            raise CredentialsRefused(ALGORITHM)
        # A token of another issuer must not cause a fetch of this one's keys.
        if claims.get("iss") != self._issuer:
            raise CredentialsRefused(ISSUER)
        if "kid" not in header:
            raise CredentialsRefused(UNKNOWN_KEY)
        return header["kid"], header["alg"]


def _cause(error: PyJWTError) -> str:
    if isinstance(error, MissingRequiredClaimError) and error.claim == "aud":
        return AUDIENCE
    return _CAUSE_OF_ERROR.get(type(error), CLAIMS)


def _subject(claims: dict[str, Any]) -> str:
    subject: str = claims["sub"]
    # A line break or a mark of direction could make a log line show another name. Letters that look
    # alike remain.
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
    expiry = claims["exp"]
    # PyJWT also takes numbers in texts.
    if not isinstance(expiry, int | float):
        raise CredentialsRefused(CLAIMS)
    try:
        return datetime.fromtimestamp(expiry, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise CredentialsRefused(CLAIMS) from error
