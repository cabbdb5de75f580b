"""Why a request of a client is refused. None of these knows HTTP.

Refused
├── CredentialsAmbiguous    the request shows two keys or tokens
├── CredentialsRefused      its key or token is not good, or it has none and needs one
├── IssuerKeysUnavailable         whether its token is good cannot be found out now
├── ScopeMissing            its key or token does not allow this
├── LimitReached            not now
│   ├── RateLimited         too many requests in a minute
│   └── TooManyPending      too many pending tasks
├── IdempotencyKeyUnusable  the idempotency key is malformed, or its sender anonymous
├── IdempotencyKeyReused    the idempotency key came before with another body
├── ClientDisabled          staff ask for a key that would not work
└── ClientHasTokens         staff ask for a key of a client that shows tokens
"""

from typing import Final

from tasks.clients.scopes import Scope

PENDING_RETRY_AFTER_SECONDS: Final = 10


class Refused(Exception):
    """What a client asks for is refused before anything is done."""


class CredentialsAmbiguous(Refused):
    """The request shows more than one key or token."""


class CredentialsRefused(Refused):
    """The key or token of the request is not good, or it has none and needs one.

    The cause is for metrics and the log only: callers must not learn which keys exist.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class IssuerKeysUnavailable(Refused):
    """The key of a token is unknown, and the keys of its issuer cannot be fetched now.

    Attributes:
        retry_after_seconds: until another try is worth it, at least 1.
    """

    cause: Final = "issuer_unavailable"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"wait {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class ScopeMissing(Refused):
    """The key or token does not allow the operation."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope.value)
        self.scope = scope


class LimitReached(Refused):
    """The caller has to wait.

    Attributes:
        retry_after_seconds: how long, at least 1.
    """

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"wait {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class RateLimited(LimitReached):
    """The caller sends more requests than its limit allows."""


class TooManyPending(LimitReached):
    """The client has as many pending tasks as it may have."""

    def __init__(self, max_pending: int) -> None:
        super().__init__(PENDING_RETRY_AFTER_SECONDS)
        self.max_pending = max_pending


class IdempotencyKeyUnusable(Refused):
    """The key is malformed, or its sender has no name to keep it under."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class IdempotencyKeyReused(Refused):
    """The same key came before with another body."""


class ClientDisabled(Refused):
    """A new key of a disabled client would not work."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the client {name} is disabled")
        self.name = name


class ClientHasTokens(Refused):
    """A client that its issuer made shows tokens, and gets no key."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the client {name} shows tokens of its issuer")
        self.name = name
