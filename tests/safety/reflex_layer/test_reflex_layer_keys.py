"""Private keys: the whole block is one finding, and the text after it is not."""

import base64
import json
import random

import pytest

from safety.reflex_layer.screening import screen

HEADERS = ("Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF", "")
PGP_HEADERS = ("Version: GnuPG v2", "Comment: made-up", "")
BYTES_OF_RSA_2048 = 1190
BYTES_OF_RSA_8192 = 4700


def block(
    label: str = "RSA PRIVATE KEY",
    *,
    size: int = BYTES_OF_RSA_2048,
    headers: tuple[str, ...] = (),
    between: str = "\n",
    end: bool = True,
) -> str:
    """Return a block of random bytes in the form of a key."""
    body = base64.b64encode(random.Random(size).randbytes(size)).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    last = [f"-----END {label}-----"] if end else []
    return between.join([f"-----BEGIN {label}-----", *headers, *lines, *last])


BLOCKS = {
    "plain": block(),
    "without its end": block(end=False),
    "CRLF": block(between="\r\n"),
    "escaped line ends": block(between="\\n"),
    "escaped line ends without its end": block(between="\\n", end=False),
    "escaped twice": block(between="\\\\n"),
    "as JSON": json.dumps(block())[1:-1],
    "headers": block(headers=HEADERS),
    "headers without its end": block(headers=HEADERS, end=False),
    "headers on one line": block(headers=HEADERS, between="\\n", end=False),
    "OpenSSH": block("OPENSSH PRIVATE KEY", size=400),
    "EC without its end": block("EC PRIVATE KEY", size=120, end=False),
    "PGP": block("PGP PRIVATE KEY BLOCK", headers=PGP_HEADERS),
    "PGP without its end": block("PGP PRIVATE KEY BLOCK", headers=PGP_HEADERS, end=False),
    "indented": block(between="\n    "),
    "indented without its end": block(between="\n    ", end=False),
    "quoted in a mail": block(between="\n> ", end=False),
    "a string of code": block(between='\\n" +\n  "', end=False),
    "removed in a diff": block(between="\n-"),
    "blanks for line ends": block(between=" "),
    "blanks without its end": block(between=" ", end=False),
    "RSA 8192": block(size=BYTES_OF_RSA_8192),
    "RSA 8192 without its end": block(size=BYTES_OF_RSA_8192, end=False),
    "longer than any key": block(size=70_000, end=False),
    "cut off": block(end=False)[:700],
    "in base64": base64.b64encode(block().encode()).decode(),
    "without its begin": "MIIEpAIBAAKCAQEA" + block(end=False).partition("\n")[2],
}
AROUND = [
    ("", ""),
    ("key: ", "\n\nPlease deploy this to the two servers."),
    ("Install ", " Then restart nginx."),
    ("", "\nThanks\nMary"),
]


@pytest.mark.parametrize(("before", "after"), AROUND, ids=["alone", "line", "prose", "greeting"])
@pytest.mark.parametrize("key", BLOCKS.values(), ids=BLOCKS.keys())
def test_private_key_is_one_finding_without_the_text_after_it(
    key: str, before: str, after: str
) -> None:
    matches = screen(f"{before}{key}{after}")["pii_matches"]

    assert [(m["pii_type"], m["matched_text"]) for m in matches] == [("ApiKey", key)]


def test_each_of_several_keys_in_a_row_is_found() -> None:
    keys = [block(), block(end=False), block(between="\\n"), block("PRIVATE KEY", size=48)]

    matches = screen("\n".join(keys))["pii_matches"]

    assert [match["matched_text"] for match in matches] == keys


def test_key_of_putty_is_found() -> None:
    lines = block(end=False).partition("\n")[2]

    (match,) = screen(f"Private-Lines: 14\n{lines}\nPrivate-MAC: none")["pii_matches"]

    assert match["matched_text"] == f"Private-Lines: 14\n{lines}"


@pytest.mark.parametrize("label", ["CERTIFICATE", "PUBLIC KEY", "PGP MESSAGE"])
def test_public_block_is_not_a_secret(label: str) -> None:
    text = block(label, size=300)

    assert screen(text)["pii_matches"] == []
    assert screen(base64.b64encode(text.encode()).decode())["pii_matches"] == []
