"""The form of an API key."""

import re
import time
import zlib

import pytest

from tasks.clients.keys import contains_credential, digest_of, is_well_formed, new_key, prefix_of

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def test_a_key_has_its_form() -> None:
    assert re.fullmatch(r"octollm_[0-9A-Za-z]{57}", new_key())


def test_keys_differ_in_their_names_and_secrets() -> None:
    keys = {new_key() for _ in range(1_000)}
    assert len({prefix_of(key) for key in keys}) == len({key[16:] for key in keys}) == 1_000


def test_the_checksum_is_the_crc_32_in_base_62() -> None:
    key = new_key()
    number = 0
    for digit in key[-6:]:
        number = number * 62 + ALPHABET.index(digit)
    assert number == zlib.crc32(key[:-6].encode())


def test_a_new_key_is_well_formed() -> None:
    assert all(is_well_formed(new_key()) for _ in range(100))


@pytest.mark.parametrize("position", [8, 16, 40, 58, 64])
def test_a_mistyped_character_is_noticed(position: int) -> None:
    key = new_key()
    other = "x" if key[position] != "x" else "y"
    assert not is_well_formed(key[:position] + other + key[position + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "octollm_",
        "octollm_" + "a" * 56,
        "octollm_" + "a" * 58,
        "OCTOLLM_" + "a" * 57,
        "octollm_" + "ü" * 57,
        # Digits of another script.
        "octollm_" + "٣" * 57,
        "octollm_" + "a" * 56 + "\n",
        "octollm_" + "a" * 56 + "\0",
        "a" * 10_000,
        "octollm_" + "a" * 10_000,
    ],
    ids=lambda text: f"{text[:12]!r} of {len(text)}",
)
def test_other_texts_are_no_keys(text: str) -> None:
    assert not is_well_formed(text)


def test_a_key_inside_a_text_is_noticed_whatever_its_checksum() -> None:
    assert contains_credential(f"x{new_key()}y")
    assert contains_credential("octollm_" + "a" * 57)
    assert not contains_credential("octollm_" + "a" * 56)


def test_the_name_of_a_key_is_no_part_of_its_secret() -> None:
    key = new_key()
    assert (prefix_of(key), prefix_of(key[8:16])) == (key[8:16], key[8:16])


def test_the_digest_is_the_sha_256_of_the_whole_key() -> None:
    assert digest_of("abc").hex() == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


@pytest.mark.parametrize("text", ["eyJ" * 333_333, "eyJa" + "." * 999_996, "eyJa.b" * 166_666])
def test_a_long_name_is_looked_at_in_no_time(text: str) -> None:
    """Names of unknown fields may be as long as a body, and anybody may send them."""
    started = time.process_time()
    contains_credential(text)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", True),
        ("token=eyJhbGciOiJub25lIn0.e30.", True),
        ("-eyJhbGciOiJSUzI1NiJ9..c2ln", True),
        ("eyJhbGciOiJSUzI1NiJ9", False),
        ("eyJhbGciOiJSUzI1NiJ9.e30", False),
        ("eyJ.e30.e30", False),
        ("e30.e30.e30", False),
        ("1.2.3", False),
    ],
)
def test_a_token_in_a_text_is_found(*, text: str, is_one: bool) -> None:
    assert contains_credential(text) == is_one
