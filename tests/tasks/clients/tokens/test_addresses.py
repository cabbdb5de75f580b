"""Which addresses of an issuer may be fetched."""

import pytest

from tasks.clients.tokens.addresses import is_safe_address


@pytest.mark.parametrize(
    "url",
    [
        "https://login.example",
        "https://login.example/",
        "https://login.example:8443/realms/company",
        "https://login.example/keys?policy=b2c_1",
        "https://[2001:db8::1]/keys",
        "https://10.0.0.7/keys",
        "http://localhost:9000",
        "http://127.0.0.1",
        "http://127.9.9.9:1/keys",
        "http://[::1]:9000/keys",
        "HTTP://LOCALHOST:9000/keys",
        "https://key_cloak:8443/",
    ],
)
def test_an_address_is_https_or_of_this_machine(url: str) -> None:
    assert is_safe_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "login.example",
        "//login.example",
        "http://login.example",
        "http://10.0.0.7/keys",
        "http://0.0.0.0:9000",
        "http://127.0.0.1.login.example",
        "http://localhost.login.example",
        "http://login.example#@localhost",
        "http://localhost@login.example",
        "https://user:secret@login.example",
        "https://@login.example",
        "https://login.example#keys",
        "https://login.example:0",
        "https://login.example:99999",
        "https://login.example:x",
        "https://",
        "https://[::1",
        "https://login.example/a b",
        "https://login.example/\r\nX-Header: 1",
        "https://login.example/\r\nX-Header:1",
        "https://login.example/\x7f",
        "https://login.exämple",
        "https://*.example",
        "https://.example",
        "https://a%00b/",
        "http://[::1]evil.example/",
        "http://evil.example[::1]/",
        "http://[::1%25x]/",
        "ftp://localhost",
        "file:///etc/passwd",
    ],
)
def test_any_other_address_is_refused(url: str) -> None:
    assert not is_safe_address(url)
