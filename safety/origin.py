"""Where a request comes from."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from.

    Attributes:
        request_id: the id of the request in our logs.
        client_address: the client's, as our outermost proxy saw it.
        client_id: the client whose key came with the request; None for anonymous requests.
    """

    request_id: str
    client_address: str
    client_id: UUID | None = None


def origin_of(request: Any) -> Origin:
    """Return the origin that the middleware set on a Django or DRF request."""
    origin: Origin = request.origin
    return origin
