"""Our check digits, compared with those of python-stdnum."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import bitcoin, ean, iban, luhn

from safety.reflex_layer.pii import detection as pii
from safety.reflex_layer.pii.check_digits import (
    is_iban,
    passes_base58check,
    passes_ean,
    passes_luhn,
)

ADDRESS = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
BASE_58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@given(st.text("0123456789", min_size=1, max_size=20))
@settings(deadline=None)
def test_luhn_agrees_with_stdnum(number: str) -> None:
    assert passes_luhn(number) is luhn.is_valid(number)
    assert passes_luhn(number + luhn.calc_check_digit(number))


@given(st.text("0123456789", min_size=12, max_size=12))
@settings(deadline=None)
def test_check_digit_of_a_product_code_agrees_with_stdnum(code: str) -> None:
    passing = [digit for digit in "0123456789" if passes_ean(code + digit)]

    assert passing == [ean.calc_check_digit(code)]


@given(
    st.sampled_from("|".join(pii.IBAN_COUNTRIES.values()).split("|")),
    st.text("0123456789", min_size=24, max_size=24) | st.text("0123456789abcz", min_size=24),
)
@settings(deadline=None)
def test_iban_agrees_with_stdnum(country: str, account: str) -> None:
    [length] = [size for size, names in pii.IBAN_COUNTRIES.items() if country in names.split("|")]
    account = account[:length]
    digits = iban.calc_check_digits(f"{country}00{account}")
    number = f"{country}{digits}{account}"

    expected = iban.is_valid(number, check_country=False)
    assert is_iban(number) is expected
    assert is_iban(f"{number[:4]} {number[4:8]}-{number[8:]}") is expected
    assert not any(
        is_iban(f"{country}{other:02}{account}") for other in range(2, 99) if other != int(digits)
    )


def test_iban_of_an_unknown_country_is_refused() -> None:
    assert not is_iban(f"xx{iban.calc_check_digits('xx00123456789012')}123456789012")


@pytest.mark.parametrize(
    "address", [ADDRESS, "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"]
)
def test_address_of_bitcoin_passes_and_its_misprints_fail(address: str) -> None:
    generator = random.Random(3)
    assert passes_base58check(address)
    for _ in range(100):
        place = generator.randrange(1, len(address))
        misprint = address[:place] + generator.choice(BASE_58) + address[place + 1 :]
        assert passes_base58check(misprint) is bitcoin.is_valid(misprint)


def test_address_that_is_too_long_does_not_pass() -> None:
    assert not passes_base58check("1" + "z" * 34)
