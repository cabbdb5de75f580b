"""Check digits against those of python-stdnum."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import bitcoin, iban, luhn

from safety.reflex_layer.check_digits import passes_base58check, passes_luhn, passes_mod_97

ADDRESS = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
BASE_58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@given(st.text("0123456789", min_size=1, max_size=20))
def test_luhn_is_that_of_stdnum(number: str) -> None:
    assert passes_luhn(number) is luhn.is_valid(number)
    assert passes_luhn(number + luhn.calc_check_digit(number))


@given(st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=10, max_size=30))
def test_check_digits_of_an_iban_are_those_of_stdnum(account: str) -> None:
    digits = iban.calc_check_digits(f"de00{account}")
    passing = [
        number
        for number in range(2, 99)
        if passes_mod_97(f"de{number:02} {account[:4]}-{account[4:]}")
    ]

    assert passing == [int(digits)]


@pytest.mark.parametrize(
    "address", [ADDRESS, "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"]
)
def test_address_of_bitcoin_passes_and_its_misprints_do_not(address: str) -> None:
    generator = random.Random(3)
    assert passes_base58check(address)
    for _ in range(100):
        place = generator.randrange(1, len(address))
        misprint = address[:place] + generator.choice(BASE_58) + address[place + 1 :]
        assert passes_base58check(misprint) is bitcoin.is_valid(misprint)


def test_address_that_is_too_large_a_number_does_not_pass() -> None:
    assert not passes_base58check("1" + "z" * 34)
