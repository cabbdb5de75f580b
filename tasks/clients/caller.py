"""The caller of a request."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tasks.clients.exceptions import CredentialsRefused, ScopeMissing
from tasks.clients.rate_limits import Usage
from tasks.clients.scopes import Scope

ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request.

    Attributes:
        client_id: None for anonymous callers, who have none of the rest either.
        scopes: values of `Scope`.
        expires_at: until when the key or token works; None for a key that has no end.
        max_pending: the largest number of pending tasks; None for no limit.
        usage: of the limit of requests; None for no limit.
    """

    client_id: UUID | None = None
    name: str = ""
    scopes: frozenset[str] = frozenset()
    expires_at: datetime | None = None
    max_pending: int | None = None
    usage: Usage | None = None

    @property
    def is_anonymous(self) -> bool:
        return self.client_id is None

    def require_client(self) -> UUID:
        """Return the id of the client.

        Raises:
            CredentialsRefused: the caller is anonymous.
        """
        if self.client_id is None:
            raise CredentialsRefused(ANONYMOUS)
        return self.client_id

    def require(self, scope: Scope) -> None:
        """Refuse callers that may not do this.

        Raises:
            CredentialsRefused: the caller is anonymous.
            ScopeMissing: the key or token does not have the scope.
        """
        self.require_client()
        if scope not in self.scopes:
            raise ScopeMissing(scope)
