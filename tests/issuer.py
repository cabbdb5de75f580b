# mypy: disable-error-code=import-untyped, allow-subclassing-any
"""An OpenID provider on a real socket, made of Authlib.

    with Issuer(algorithm="ES256") as issuer:
        token = issuer.token("reporting", "task:read")     # of Authlib, by HTTP
        forged = issuer.sign(aud="https://other.example")  # anything
        issuer.answers[KEYS] = Answer(429, {"Retry-After": "60"})

Every client id exists, with CLIENT_SECRET. `python -m tests.issuer` serves until Ctrl-C.
"""

import argparse
import base64
import contextlib
import hmac
import json
import logging
import secrets
import socket
import sys
import threading
import time
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import requests
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from authlib.oidc.discovery import OpenIDProviderMetadata
from flask import Flask, Response, request
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from werkzeug.serving import make_server

AUDIENCE = "https://orchestrator.example"
CLIENT_SECRET = "the-secret-of-every-client"
# Paths below that of the issuer.
DISCOVERY, KEYS, TOKEN = "/.well-known/openid-configuration", "/jwks", "/token"
# Removes a claim or a header; None makes it null.
ABSENT = Enum("Claim", "ABSENT").ABSENT
_WAIT_SECONDS = 60
SigningKey = RSAKey | ECKey | OKPKey
_KINDS: Any = {"RS256": (RSAKey, 2048), "ES256": (ECKey, "P-256"), "EdDSA": (OKPKey, "Ed25519")}
# Keys that no issuer of this process uses now, since making one for RS256 takes long.
_spare_keys: dict[str, list[Any]] = {algorithm: [] for algorithm in _KINDS}
# Authlib signs only with what joserfc recommends. joserfc does not recommend EdDSA by the name
# that issuers use, and warns of it, since RFC 9864 has newer names.
JWSRegistry.algorithms["EdDSA"].security_warning = None
JWSRegistry.recommended.append("EdDSA")
# No line for each request in the output of the tests.
logging.getLogger("werkzeug").setLevel(logging.WARNING)


class Answer(NamedTuple):
    """An answer in place of the real one; `body` is bytes, as they are, or anything as JSON."""

    status: int = 200
    headers: dict[str, str] = {}
    body: Any = b""


@dataclass(frozen=True)
class _Client(ClientMixin):
    client_id: str

    def get_client_id(self) -> str:
        return self.client_id

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or ""

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_grant_type(self, *_: str) -> bool:
        return True

    check_endpoint_auth_method = check_grant_type


class _Tokens(JWTBearerTokenGenerator):
    """Makes tokens with the issuer's present key, audience and lifetime."""

    def __init__(self, issuer: "Issuer") -> None:
        super().__init__(issuer.url, expires_generator=lambda *_: issuer.lifetime_seconds)
        self._issuer = issuer

    def access_token_generator(self, *args: Any, **options: Any) -> Any:
        self.alg = self._issuer.key.alg
        return super().access_token_generator(*args, **options)

    def get_jwks(self) -> KeySet:
        # A token gets its `kid` only from a set, and its key is a random one of the set.
        return KeySet([self._issuer.key])

    def get_audiences(self, client: _Client, user: None, scope: str) -> str | list[str]:
        return self._issuer.audience


class Issuer:
    """Serves each request in a thread; the attributes may be changed at any time.

    Args:
        algorithm: RS256, ES256 or EdDSA.
        path: of the issuer's URL, such as "/realms/company", or "/" as some issuers have it.

    Attributes:
        url: the issuer identifier.
        key, kid: sign tokens; `key.as_pem(private=False)` is the public half.
        keys: the published ones, oldest first.
        audience, lifetime_seconds: of tokens; a negative lifetime makes expired ones.
        answers: by path below the issuer's, which need not exist.
        requests: method and path of each request, in order of arrival.
    """

    key: SigningKey

    def __init__(self, *, algorithm: str = "RS256", path: str = "", port: int = 0) -> None:
        self.audience: str | list[str] = AUDIENCE
        self.lifetime_seconds = 3600
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, str]] = []
        self.keys: list[SigningKey] = []
        self._lent: list[SigningKey] = []
        self._connections: list[socket.socket] = []
        self._released = threading.Event()
        self.release()
        self.rotate(algorithm)
        self._listener = socket.create_server(("127.0.0.1", port))
        self._root = path.rstrip("/")
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{path}"
        self.keys_url = self.url.rstrip("/") + KEYS
        self.token_url = self.url.rstrip("/") + TOKEN
        self._app = self._make_app()
        self._serve()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self.release()
        while self._lent:
            key = self._lent.pop()
            _spare_keys[str(key.alg)].append(key.private_key)

    def token(self, client: str = "reporting", scope: str = "task:read") -> str:
        """Get a token as a client does; its `sub` is the client's id."""
        form = {"grant_type": "client_credentials", "scope": scope}
        # Quoted, as the standard has it, so that a client's id may contain a colon.
        basic = (quote(client, safe=""), CLIENT_SECRET)
        response = requests.post(self.token_url, form, auth=basic, timeout=_WAIT_SECONDS)
        response.raise_for_status()
        return str(response.json()["access_token"])

    def sign(
        self, claims: Any = None, headers: Any = None, secret: bytes = b"", **changes: Any
    ) -> str:
        """Sign anything with the current key, or `secret` by HMAC-SHA256, whatever the headers say.

        `claims` is the payload, bytes as they are, else as JSON; by default that of a good token,
        with `changes`. `headers` is a dict of changes to those of a good token.
        """
        header = {"alg": self.key.alg, "typ": "at+jwt", "kid": self.kid} | (headers or {})
        if claims is None:
            now = int(time.time())
            claims = {"iss": self.url, "aud": self.audience, "sub": "reporting"}
            claims |= {"iat": now, "exp": now + self.lifetime_seconds, "scope": "task:read"}
            claims |= {"client_id": "reporting", "jti": secrets.token_hex(8)}
        if isinstance(claims, dict):
            claims = claims | changes
        signed = _encoded(header) + b"." + _encoded(claims)
        by_key = JWSRegistry.algorithms[str(self.key.alg)].sign(signed, self.key)
        signature = hmac.digest(secret, signed, "sha256") if secret else by_key
        return (signed + b"." + _encoded(signature)).decode()

    @property
    def key_set(self) -> dict[str, Any]:
        return dict(KeySet([*self.keys]).as_dict(private=False))

    def rotate(self, algorithm: str | None = None) -> None:
        """Sign with a new key, of another algorithm if wanted; the old keys stay published."""
        algorithm = algorithm or str(self.key.alg)
        kind, size = _KINDS[algorithm]
        spare = _spare_keys[algorithm]
        raw = spare.pop() if spare else kind.generate_key(size).private_key
        self.kid = secrets.token_hex(8)
        self.key = kind(raw, raw, {"kid": self.kid, "alg": algorithm, "use": "sig"})
        self._lent.append(self.key)
        self.keys = [*self.keys, self.key]

    def withdraw(self, kid: str | None = None) -> None:
        """Stop publishing a key, by default the oldest one."""
        kid = kid or self.keys[0].kid
        self.keys = [key for key in self.keys if key.kid != kid]

    @property
    def fetches(self) -> int:
        """How many fetches of the key set have arrived."""
        return sum(path == self._root + KEYS for _, path in self.requests)

    def hold(self) -> None:
        """Let all requests but those for tokens hang until `release`."""
        self._released.clear()

    def release(self) -> None:
        self._released.set()

    def go_down(self) -> None:
        """Refuse new connections, and cut the existing ones."""
        address = self._listener.getsockname()
        self._stop()
        # Bound without listening, so that no other process gets the port meanwhile.
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(address)

    def come_up(self) -> None:
        self._listener.listen()
        self._serve()

    def _make_app(self) -> Flask:
        app = Flask(__name__, static_folder=None)
        server = AuthorizationServer(app, query_client=_Client, save_token=lambda *_: None)
        server.register_grant(ClientCredentialsGrant)
        server.register_token_generator("default", _Tokens(self))
        document = {
            "issuer": self.url,
            "token_endpoint": self.token_url,
            "jwks_uri": self.keys_url,
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": ["none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [*_KINDS],
        }
        OpenIDProviderMetadata(document).validate()
        app.before_request(self._receive)
        app.add_url_rule(self._root + DISCOVERY, "discovery", lambda: document)
        app.add_url_rule(self._root + KEYS, "keys", lambda: self.key_set)
        app.post(self._root + TOKEN)(server.create_token_response)
        return app

    def _receive(self) -> Response | None:
        """Return the answer in place of the real one, if there is one."""
        self._connections.append(request.environ["werkzeug.socket"])
        self.requests.append((request.method, request.path))
        path = request.path.removeprefix(self._root)
        if path != TOKEN:
            self._released.wait(_WAIT_SECONDS)
        if not (answer := self.answers.get(path)):
            return None
        headers = {"Content-Type": "application/json"} | answer.headers
        return Response(_as_bytes(answer.body), answer.status, headers)

    def _serve(self) -> None:
        fd = self._listener.fileno()
        self._server = make_server("127.0.0.1", 0, self._app, threaded=True, fd=fd)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _stop(self) -> None:
        # Wakes the thread, which looks only twice a second whether it has to stop.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()
        self._thread.join()
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _as_bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def _encoded(part: Any) -> bytes:
    if isinstance(part, dict):
        part = {name: value for name, value in part.items() if value is not ABSENT}
    return base64.urlsafe_b64encode(_as_bytes(part)).rstrip(b"=")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--algorithm", choices=_KINDS, default="RS256")
    options = parser.parse_args()
    with Issuer(**vars(options)) as issuer, contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(f"issuer: {issuer.url}\naudience: {AUDIENCE}\ntoken: {issuer.token()}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
