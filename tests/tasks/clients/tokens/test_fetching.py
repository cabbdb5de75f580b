"""Fetching the keys of an issuer: where they are looked for, and what can go wrong."""

import ssl
import threading
import time
from typing import Any

import pytest

from tasks.clients.tokens.issuer import (
    MAX_DOCUMENT_BYTES,
    FetchFailed,
)
from tasks.clients.tokens.issuer import Issuer as TrustedIssuer
from tests.issuer import DISCOVERY, KEYS, Answer, Issuer
from tests.reflex_layer import ScriptedReflexLayer, hangs, says, sends, trickles

OTHER = "https://other.example"


def failure(issuer: Issuer, jwks_url: str = "") -> FetchFailed:
    with pytest.raises(FetchFailed) as failed:
        TrustedIssuer(issuer.url, jwks_url=jwks_url).fetch_keys()
    return failed.value


@pytest.mark.parametrize("path", ["", "/", "/realms/company", "/tenant/"])
def test_the_discovery_document_tells_where_the_keys_are(path: str) -> None:
    with Issuer(path=path) as issuer:
        keys = TrustedIssuer(issuer.url).fetch_keys()
        base = path.rstrip("/")
        assert issuer.requests == [("GET", base + DISCOVERY), ("GET", base + KEYS)]
        assert {*keys} == {(issuer.kid, "RS256")}


def test_with_an_address_of_the_keys_there_is_nothing_to_discover(issuer: Issuer) -> None:
    keys = TrustedIssuer(issuer.url, jwks_url=issuer.keys_url).fetch_keys()
    assert issuer.requests == [("GET", KEYS)]
    assert {*keys} == {(issuer.kid, "RS256")}


@pytest.mark.parametrize("address", ["/keys", "/keys/", "/keys?policy=b2c_1", "/?a=b&c=%20"])
def test_an_address_is_asked_for_as_it_is(address: str) -> None:
    with ScriptedReflexLayer() as other:
        other.behaviour = says({"keys": []})
        TrustedIssuer(other.url, jwks_url=f"{other.url}{address}").fetch_keys()
        assert [path for _, path, _, _ in other.requests] == [address]


def test_the_keys_may_be_on_another_host(issuer: Issuer) -> None:
    with Issuer() as elsewhere:
        document = {"issuer": issuer.url, "jwks_uri": elsewhere.keys_url}
        issuer.answers[DISCOVERY] = Answer(body=document)
        assert {*TrustedIssuer(issuer.url).fetch_keys()} == {(elsewhere.kid, "RS256")}


# Answers that are of no use


NO_JSON = "it is not a JSON document with {}"
ANSWERS: dict[str, tuple[Answer, str]] = {
    "not found": (Answer(404), "answered 404"),
    "forbidden": (Answer(403), "answered 403"),
    "broken": (Answer(500), "answered 500"),
    "moved": (Answer(302, {"Location": "https://other.example/"}), "answered 302"),
    "moved for good": (Answer(308, {"Location": "https://other.example/"}), "answered 308"),
    "empty": (Answer(204), "answered 204"),
    "compressed": (Answer(200, {"Content-Encoding": "gzip"}, b"\x1f\x8b\x08"), NO_JSON),
    "too long": (Answer(body=b"[" + b" " * MAX_DOCUMENT_BYTES), "it has more than 262144 bytes"),
    "a page": (Answer(200, {"Content-Type": "text/html"}, b"<html>"), NO_JSON),
    "a list": (Answer(body=[]), NO_JSON),
    "deep": (Answer(body=b"[" * 100_000), NO_JSON),
    "another object": (Answer(body={"error": "not_found"}), NO_JSON),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_discovery_document_that_is_of_no_use(issuer: Issuer, name: str) -> None:
    issuer.answers[DISCOVERY], reason = ANSWERS[name]
    assert failure(issuer).reason == "discovery document: " + reason.format("issuer and jwks_uri")
    assert issuer.fetches == 0


@pytest.mark.parametrize("name", ANSWERS)
def test_a_key_set_that_is_of_no_use(issuer: Issuer, name: str) -> None:
    issuer.answers[KEYS], reason = ANSWERS[name]
    told = "key set: " + reason.format("keys")
    assert failure(issuer).reason == told
    assert failure(issuer, issuer.keys_url).reason == told


@pytest.mark.parametrize("name", [OTHER, "{url}/", "{url}/realms/company", None, 7, ["{url}"]])
def test_the_discovery_document_must_name_our_issuer(issuer: Issuer, name: Any) -> None:
    named = name.format(url=issuer.url) if isinstance(name, str) else name
    issuer.answers[DISCOVERY] = Answer(body={"issuer": named, "jwks_uri": issuer.keys_url})
    assert failure(issuer).reason == "discovery document: it names another issuer"
    assert issuer.fetches == 0


@pytest.mark.parametrize(
    "address",
    [
        "http://other.example/keys",
        "http://[::1]other.example/",
        "file:///etc/passwd",
        "",
        None,
        7,
        "https://a@b/",
        "keys",
    ],
)
def test_the_keys_must_be_at_a_safe_address(issuer: Issuer, address: Any) -> None:
    issuer.answers[DISCOVERY] = Answer(body={"issuer": issuer.url, "jwks_uri": address})
    assert failure(issuer).reason == "discovery document: its key set is not at an https address"


@pytest.mark.usefixtures("trust")
@pytest.mark.parametrize("scheme", ["http", "HTTP"])
def test_an_issuer_with_https_does_not_send_us_to_our_own_machine(
    issuer: Issuer, scheme: str, tls_context: ssl.SSLContext
) -> None:
    with ScriptedReflexLayer() as secure:
        secure.welcome = lambda connection: tls_context.wrap_socket(connection, server_side=True)
        name = secure.url.replace("http", "https")
        keys_url = issuer.keys_url.replace("http", scheme)
        secure.behaviour = says({"issuer": name, "jwks_uri": keys_url})
        with pytest.raises(FetchFailed, match="its key set is not at an https address"):
            TrustedIssuer(name).fetch_keys()
        assert issuer.requests == []


def test_a_certificate_has_to_be_trusted(tls_context: ssl.SSLContext) -> None:
    with ScriptedReflexLayer() as secure:
        secure.welcome = lambda connection: tls_context.wrap_socket(connection, server_side=True)
        name = secure.url.replace("http", "https")
        with pytest.raises(FetchFailed, match="discovery document: certificate not trusted"):
            TrustedIssuer(name).fetch_keys()
        assert secure.requests == []


def test_a_redirect_is_not_followed(issuer: Issuer) -> None:
    with Issuer() as elsewhere:
        issuer.answers[KEYS] = Answer(307, {"Location": elsewhere.keys_url})
        failure(issuer)
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"Retry-After": "120"}, 120), ({}, 60), ({"Retry-After": "soon"}, 60)],
    ids=["a time", "no time", "no number"],
)
def test_an_issuer_that_limits_our_rate_says_for_how_long(
    issuer: Issuer, headers: dict[str, str], seconds: int
) -> None:
    issuer.answers[KEYS] = Answer(429, headers)
    failed = failure(issuer)
    assert (failed.reason, failed.retry_after_seconds) == ("key set: answered 429", seconds)
    issuer.answers[KEYS] = Answer(503, {"Retry-After": "120"})
    assert failure(issuer).retry_after_seconds == 0


# Issuers that do not answer


def test_an_issuer_that_is_down(issuer: Issuer) -> None:
    issuer.go_down()
    assert failure(issuer).reason == "discovery document: connection failed"


def test_an_issuer_without_an_address() -> None:
    with pytest.raises(FetchFailed, match="discovery document: connection failed"):
        TrustedIssuer("https://issuer.invalid").fetch_keys()


@pytest.mark.parametrize(
    "behaviour",
    [
        hangs(),
        trickles(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
        trickles(b"HTTP/1.1 200 OK\r\n", b"x"),
    ],
    ids=["nothing", "a body", "a header"],
)
def test_a_fetch_ends_after_three_seconds(behaviour: Any) -> None:
    with ScriptedReflexLayer() as slow:
        slow.behaviour = behaviour
        started = time.monotonic()
        with pytest.raises(FetchFailed, match="deadline exceeded"):
            TrustedIssuer(slow.url, jwks_url=f"{slow.url}/keys").fetch_keys()
        assert 2.9 <= time.monotonic() - started <= 4


def test_both_documents_share_the_three_seconds(issuer: Issuer) -> None:
    with ScriptedReflexLayer() as slow:
        slow.behaviour = hangs()
        issuer.answers[DISCOVERY] = Answer(
            body={"issuer": issuer.url, "jwks_uri": f"{slow.url}/keys"}
        )
        issuer.hold()
        timer = threading.Timer(2, issuer.release)
        timer.start()
        started = time.monotonic()
        assert failure(issuer).reason == "key set: deadline exceeded"
        assert 2.9 <= time.monotonic() - started <= 4
        timer.join()


@pytest.mark.parametrize(
    "sent",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", b"nonsense\r\n\r\n", b"\0" * 99],
    ids=["nothing", "half of a body", "nonsense", "zeros"],
)
def test_an_issuer_that_does_not_speak_http(sent: bytes) -> None:
    with ScriptedReflexLayer() as odd:
        odd.behaviour = sends(sent)
        with pytest.raises(FetchFailed, match="key set: connection failed"):
            TrustedIssuer(odd.url, jwks_url=f"{odd.url}/keys").fetch_keys()


def test_an_endless_answer_is_cut() -> None:
    with ScriptedReflexLayer() as endless:
        endless.behaviour = trickles(
            b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1_000_000, pause_seconds=0.0001
        )
        with pytest.raises(FetchFailed):
            TrustedIssuer(endless.url, jwks_url=f"{endless.url}/keys").fetch_keys()
