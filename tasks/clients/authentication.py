"""The caller of a request: a client, known by its key or token, or an anonymous one."""

import functools
from typing import Final

from django.conf import settings
from prometheus_client import Counter

from tasks.clients import rate_limits
from tasks.clients.caller import ANONYMOUS, Caller
from tasks.clients.credentials import DISABLED, REVOKED, UNKNOWN, admit_by_key, admit_by_token
from tasks.clients.exceptions import CredentialsRefused, IssuerKeysUnavailable
from tasks.clients.keys import is_well_formed
from tasks.clients.tokens.issuer import Issuer
from tasks.clients.tokens.key_ring import KeyRing
from tasks.clients.tokens.verification import CAUSES, MALFORMED, Verifier

AUTHENTICATIONS: Final = Counter(
    "octollm_orchestrator_authentications_total",
    "Requests of the API by what they showed: a good key or token, nothing, or why it was refused",
    ["result"],
)
ACCEPTED: Final = "accepted"
# A token, where clients have keys only.
NO_ISSUER: Final = "no_issuer"
_RESULTS: Final = {
    result: AUTHENTICATIONS.labels(result)
    for result in (
        ACCEPTED,
        ANONYMOUS,
        UNKNOWN,
        REVOKED,
        DISABLED,
        NO_ISSUER,
        *CAUSES,
        IssuerKeysUnavailable.cause,
    )
}
# Separates the parts of a token. No key contains it.
_SEPARATOR: Final = "."
_ANONYMOUS_CALLER: Final = Caller()


class Authenticator:
    """Finds out who sends a request.

    Args:
        is_anonymous_allowed: whether requests without a key or token are let in.
        rate_limit: requests a minute of each client without a limit of its own, and of each
            address for anonymous requests and refused keys and tokens; None for no limit.
        verifier: of tokens; None if no issuer is trusted.
    """

    def __init__(
        self,
        *,
        is_anonymous_allowed: bool,
        rate_limit: int | None,
        verifier: Verifier | None = None,
    ) -> None:
        self.is_anonymous_allowed = is_anonymous_allowed
        self._rate_limit = rate_limit
        self._verifier = verifier

    def begin_fetch(self) -> None:
        """Begin to fetch the keys of the issuer, so that the first token need not wait for them."""
        if self._verifier is not None:
            self._verifier.begin_fetch()

    def authenticate(self, credential: str | None, *, address: str) -> Caller:
        """Return the caller of a request, and count the request.

        Args:
            credential: the key or token that the request shows; None if it shows none.
            address: where the request comes from.

        Raises:
            CredentialsRefused: the key or token is not good; or it is needed and there is none.
            IssuerKeysUnavailable: whether the token is good cannot be found out now.
            RateLimited: the caller sends too many requests.
        """
        if credential is None:
            _RESULTS[ANONYMOUS].inc()
            self._count_address(address)
            if not self.is_anonymous_allowed:
                raise CredentialsRefused(ANONYMOUS)
            return _ANONYMOUS_CALLER
        try:
            caller = self._find(credential)
        except (CredentialsRefused, IssuerKeysUnavailable) as refused:
            _RESULTS[refused.cause].inc()
            self._count_address(address)
            raise
        _RESULTS[ACCEPTED].inc()
        if caller.usage is not None:
            caller.usage.check()
        return caller

    def _find(self, credential: str) -> Caller:
        if _SEPARATOR in credential:
            if self._verifier is None:
                raise CredentialsRefused(NO_ISSUER)
            return admit_by_token(self._verifier.verify(credential), self._rate_limit)
        if not is_well_formed(credential):
            raise CredentialsRefused(MALFORMED)
        return admit_by_key(credential, self._rate_limit)

    def _count_address(self, address: str) -> None:
        if self._rate_limit is not None:
            rate_limits.count(rate_limits.address_key(address), self._rate_limit)


@functools.cache
def authenticator() -> Authenticator:
    """Return the authenticator of this process, built from the settings on first use."""
    return Authenticator(
        is_anonymous_allowed=settings.ANONYMOUS_ACCESS,
        rate_limit=settings.RATE_LIMIT,
        verifier=_verifier() if settings.JWT_ISSUER else None,
    )


def _verifier() -> Verifier:
    issuer = Issuer(settings.JWT_ISSUER, jwks_url=settings.JWT_JWKS_URL)
    return Verifier(
        issuer=settings.JWT_ISSUER,
        audience=settings.JWT_AUDIENCE,
        keys=KeyRing(issuer.fetch_keys),
    )
