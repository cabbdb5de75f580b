"""Whose submission it is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose submission it is.

    Attributes:
        request_id: the id under which our logs know it.
        client_address: the client's, as our outermost proxy saw it.
    """

    request_id: str
    client_address: str
