"""Where a request comes from."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from.

    Attributes:
        request_id: the id under which our logs know it.
        client_address: the client's, as our outermost proxy saw it.
    """

    request_id: str
    client_address: str


def origin_of(request: Any) -> Origin:
    """Return the origin that a middleware has set on a request of Django or of DRF."""
    origin: Origin = request.origin
    return origin
