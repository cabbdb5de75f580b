"""An issuer of tokens: where its keys are, and how they are fetched.

The discovery document is that of OpenID Connect Discovery 1.0.
"""

import json
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from safety.outbound.exceptions import MAX_RETRY_AFTER_SECONDS, CallFailed
from safety.outbound.service import Service
from safety.outbound.transport import Deadline
from tasks.clients.tokens.addresses import is_safe_address
from tasks.clients.tokens.key_set import Keys, NoKeySet, usable_keys

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
# For both documents together.
FETCH_SECONDS: Final = 3
MAX_DOCUMENT_BYTES: Final = 262_144
# For an issuer that limits our rate, and does not say for how long.
RATE_LIMIT_SECONDS: Final = 60


class FetchFailed(Exception):
    """The keys of the issuer could not be fetched.

    Attributes:
        reason: a short phrase, never text of the issuer.
        retry_after_seconds: how long the issuer wants no further fetch; 0 if it says nothing.
    """

    def __init__(self, reason: str, *, retry_after_seconds: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Issuer:
    """Fetches the keys of one issuer.

    Args:
        name: what its tokens name as `iss`; the discovery document is below it.
        jwks_url: the address of its key set; empty to read it from the discovery document.
    """

    def __init__(self, name: str, *, jwks_url: str = "") -> None:
        self._name = name
        self._jwks_url = jwks_url

    def fetch_keys(self) -> Keys:
        """Return the keys that the issuer has now, in at most `FETCH_SECONDS` without DNS.

        Raises:
            FetchFailed
        """
        deadline = Deadline(FETCH_SECONDS)
        address = self._jwks_url or self._discover(deadline)
        try:
            return usable_keys(_fetch(address, "key set", deadline))
        except NoKeySet as error:
            raise FetchFailed("key set: it is not a JSON document with keys") from error

    def _discover(self, deadline: Deadline) -> str:
        """Return the address of the key set."""
        what = "discovery document"
        body = _fetch(self._name.rstrip("/") + DISCOVERY_PATH, what, deadline)
        try:
            document = json.loads(body)
            issuer, address = document["issuer"], document["jwks_uri"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise FetchFailed(
                f"{what}: it is not a JSON document with issuer and jwks_uri"
            ) from error
        # Even a slash at the end makes it another issuer.
        if issuer != self._name:
            raise FetchFailed(f"{what}: it names another issuer")
        # An issuer with https must not send us to plain http on our own machine.
        schemes = ("https", urlsplit(self._name).scheme)
        if (
            not isinstance(address, str)
            or not is_safe_address(address)
            or urlsplit(address).scheme not in schemes
        ):
            raise FetchFailed(f"{what}: its key set is not at an https address")
        return address


def _fetch(address: str, what: str, deadline: Deadline) -> bytes:
    parts = urlsplit(address)
    service = Service(
        url=f"{parts.scheme}://{parts.netloc}",
        connections=1,
        max_answer_bytes=MAX_DOCUMENT_BYTES,
        rate_limit_seconds=RATE_LIMIT_SECONDS,
        keeps_connections=False,
    )
    endpoint = service.endpoint("GET", parts._replace(scheme="", netloc="").geturl())
    try:
        reply = service.ask(endpoint, deadline=deadline, headers={"Connection": "close"})
    except CallFailed as failure:
        raise FetchFailed(f"{what}: {failure.reason}") from failure
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = reply.retry_after_seconds or RATE_LIMIT_SECONDS
        raise FetchFailed(
            f"{what}: answered {reply.status}",
            retry_after_seconds=min(wait, MAX_RETRY_AFTER_SECONDS),
        )
    if reply.status != HTTPStatus.OK:
        raise FetchFailed(f"{what}: answered {reply.status}")
    if reply.body is None:
        raise FetchFailed(f"{what}: it has more than {MAX_DOCUMENT_BYTES} bytes")
    return reply.body
