"""Personal data: which texts are found, by type and exact slice, and which are not."""

import pytest

from safety.reflex_layer.screening import screen

# The slice in square brackets must be found. Values are made up or from documentation.
FOUND = [
    ("Email", "Write to [john.doe+news@example.co.uk] today"),
    ("Email", "see https://example.com/?mail=[jane@example.com]&x=1"),
    ("Email", "[müller@example.de] is new"),
    ("CreditCard", "[4111111111111111]"),
    ("CreditCard", "card: [4111111111111111]"),
    ("CreditCard", "pay with [4111-1111-1111-1111] now"),
    ("CreditCard", "pay 2 [4111 1111 1111 1111] 123"),
    ("CreditCard", "1234 [4111 1111 1111 1111] 12/27"),
    ("CreditCard", "amex [3782 822463 10005]"),
    ("CreditCard", "[5555555555554444],[5105105105105100]"),
    ("CreditCard", "full width [４１１１ １１１１ １１１１ １１１１]"),
    ("CreditCard", "zero width [4111\u200b1111\u200b1111\u200b1111]"),
    ("SSN", "my SSN is [123-45-6789]"),
    ("SSN", "[123\u201145\u20116789] with hyphens that do not break"),
    ("SSN", "ssn: [123456789]"),
    ("SSN", "social security number [123 45 6789]"),
    ("SSN", "https://example.com/?ssn=[123-45-6789]"),
    ("ITIN", "file [912-70-1234]"),
    ("ITIN", "itin: [912701234]"),
    ("Phone", "London [+44 20 7946 0958]"),
    ("Phone", "reach [+1 (555) 123-4567] or wait"),
    ("Phone", "[+4915112345678]"),
    ("Phone", "Call [(555) 123-4567]"),
    ("Phone", "[555-123-4567]"),
    ("Phone", "[555.123.4567]."),
    ("Phone", "phone: [5551234567]"),
    ("Phone", "call me at [5551234567]"),
    ("Phone", '"phone_number": [5551234567]'),
    ("Phone", "mobile [07700 900123]"),
    ("BankAccount", "IBAN [DE89 3704 0044 0532 0130 00] is mine"),
    ("BankAccount", "[GB29NWBK60161331926819]"),
    ("BankAccount", "bank account [12345678901]"),
    ("RoutingNumber", "routing number [021000021]"),
    ("IPv4", "the server [192.168.1.10] is down"),
    ("IPv4", "http://[10.1.2.3]:8080/status"),
    ("IPv4", "block [203.0.113.7], please"),
    ("IPv4", "the host [192.168.1.17]/24"),
    ("IPv6", "from [2001:db8::8a2e:370:7334] to"),
    ("IPv6", "on [fe80::1]"),
    ("MacAddress", "device [00:1A:2B:3C:4D:5E]"),
    ("MacAddress", "device [001a.2b3c.4d5e]"),
    # Keys of this service, whatever stands beside them.
    ("ApiKey", "use [octollm_5bVxq2LrT7nPz0YcWfKdHgJmSaEuRiOtNlQyXv8Bk3Zj6Dw9C1h4G7MsA]."),
    ("ApiKey", "x[octollm_5bVxq2LrT7nPz0YcWfKdHgJmSaEuRiOtNlQyXv8BkZjDwChGMsApLmQnK]y"),
    ("ApiKey", "use [sk-proj-abcdEFGH1234567890abcd]"),
    ("ApiKey", "use [sk_live_4eC39HqLyjWDarjtT1zdp7dc]"),
    ("ApiKey", "[AKIAIOSFODNN7EXAMPLE]"),
    ("ApiKey", "[ghp_16C7e42F292c6912E7710c838347Ae178B4a]"),
    ("ApiKey", "[github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuv]"),
    ("ApiKey", "[xoxb-123456789012-abcdefGHIJ]"),
    ("ApiKey", "[AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY]"),
    ("ApiKey", "[eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF123]"),
    ("ApiKey", "[-----BEGIN RSA PRIVATE KEY-----]"),
    ("ApiKey", "[-----BEGIN PRIVATE KEY-----]"),
    ("ApiKey", "password: [hunter2secret]"),
    ("ApiKey", 'DB_PASSWORD="[Tr0ub4dor&3]"'),
    ("ApiKey", "my password is [hunter2]"),
    ("ApiKey", "api_key: [9f8a7b6c5d4e3f2a1b]"),
    ("ApiKey", "password: [12345678]"),
    ("ApiKey", "Authorization: Bearer [abcdef0123456789abcdef]"),
    ("BitcoinAddress", "to [1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa]"),
    ("BitcoinAddress", "to [bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4]"),
    ("EthereumAddress", "to [0x742d35Cc6634C0532925a3b844Bc454e4438f44e]"),
    ("DateOfBirth", "She was born on [March 5, 1990]"),
    ("DateOfBirth", "dob: [1990-05-01]"),
    ("DateOfBirth", "date of birth [05/01/1990]"),
    ("Passport", "passport number: [X12345678]"),
    ("DriversLicense", "driver's license: [D1234567]"),
    ("MedicalRecordNumber", "MRN: [00123456]"),
]


@pytest.mark.parametrize(("pii_type", "marked"), FOUND, ids=[f"{t}-{m}" for t, m in FOUND])
def test_personal_data_is_found_by_type_and_exact_slice(pii_type: str, marked: str) -> None:
    # Two texts of the table have two findings.
    expected = [part.partition("]")[0] for part in marked.split("[")[1:]]

    matches = screen(marked.replace("[", "").replace("]", ""))["pii_matches"]

    assert [(m["pii_type"], m["matched_text"]) for m in matches] == [
        (pii_type, value) for value in expected
    ]


# A client that replaces the findings must not leave a part of a secret.
@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param(
            "jane.AKIAIOSFODNN7EXAMPLE@example.com",
            [
                ("Email", "jane.AKIAIOSFODNN7EXAMPLE@example.com"),
                ("ApiKey", "AKIAIOSFODNN7EXAMPLE"),
            ],
            id="around",
        ),
        pytest.param(
            "postgres://admin:s3cr3tpw@db.example.com/x",
            [("ApiKey", "s3cr3tpw"), ("Email", "s3cr3tpw@db.example.com")],
            id="longer",
        ),
        # The last four digits of the phone number and twelve of the card make a card number too.
        pytest.param(
            "call me at 415 555 2671 4111 1111 1111 1111",
            [("Phone", "415 555 2671"), ("CreditCard", "2671 4111 1111 1111 1111")],
            id="beside",
        ),
        pytest.param(
            "jane+14155552671@example.com", [("Email", "jane+14155552671@example.com")], id="inside"
        ),
    ],
)
def test_a_finding_that_extends_beyond_another_is_found_whole(
    text: str, found: list[tuple[str, str]]
) -> None:
    matches = screen(text)["pii_matches"]

    assert [(m["pii_type"], m["matched_text"]) for m in matches] == found


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("4111111111111112", id="card with a wrong checksum"),
        pytest.param("9111111111111111", id="card of no issuer"),
        pytest.param("a4111111111111111", id="card inside a word"),
        pytest.param("000-12-3456 666-12-3456", id="areas never given out"),
        pytest.param("123-00-6789 123-45-0000", id="empty group or serial"),
        pytest.param("123456789", id="nine digits without a word"),
        pytest.param("5551234567", id="ten digits without a word"),
        pytest.param("DE88 3704 0044 0532 0130 00", id="IBAN with a wrong checksum"),
        pytest.param("routing number 021000022", id="routing number with a wrong checksum"),
        pytest.param("999.1.1.1", id="octet out of range"),
        pytest.param("ff:ff:ff:ff:ff:ff", id="broadcast"),
        pytest.param("10-11-12-13-14-15", id="a list of numbers"),
        pytest.param("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", id="coin with a wrong checksum"),
        pytest.param("0x" + "0" * 40, id="address of nobody"),
        pytest.param("1990-05-01", id="a date that is nobody's birth"),
        pytest.param("call 1700000000", id="epoch after a verb"),
        pytest.param("+50000000", id="a large difference"),
    ],
)
def test_near_miss_is_not_found(text: str) -> None:
    assert screen(text)["pii_matches"] == []


def test_many_findings_of_one_type_do_not_hide_another() -> None:
    answer = screen("a@example.com " * 5000 + "123-45-6789")

    assert {match["pii_type"] for match in answer["pii_matches"]} == {"Email", "SSN"}
