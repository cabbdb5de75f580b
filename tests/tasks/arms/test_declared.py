"""Arms as operators declare them, in a variable or in the console's form."""

from decimal import Decimal

import pytest

from safety.outbound.service import Service
from tasks.arms.declared import (
    Invalid,
    InvalidArms,
    parse_arms,
    secret_variable,
    valid_model,
    valid_name,
    valid_price,
    valid_room,
    valid_secret,
    valid_tier,
    valid_timeout_seconds,
    valid_url,
)
from tasks.arms.description import Arm, Capability, Protocol

OCTOLLM = Arm(name="words", protocol=Protocol.OCTOLLM, url="http://localhost:8090")
OPENAI = Arm(
    name="local",
    protocol=Protocol.OPENAI,
    url="http://localhost:11434/v1",
    model="llama3.2",
    capabilities=(Capability.EXECUTE, Capability.PLAN, Capability.VALIDATE),
    is_idempotent=True,
)
SECRET = "s3cret"


def faults(text: str) -> list[str]:
    with pytest.raises(InvalidArms) as caught:
        parse_arms(text)
    assert str(caught.value) == " ".join(caught.value.faults)
    return caught.value.faults


# Declarations


@pytest.mark.parametrize(
    ("text", "arms"),
    [
        ("", []),
        (" , ", []),
        ("words=octollm+http://localhost:8090", [OCTOLLM]),
        ("words = octollm+http://localhost:8090/ ,", [OCTOLLM]),
        ("local=openai+http://localhost:11434/v1?model=llama3.2", [OPENAI]),
        (
            "words=octollm+http://localhost:8090,local=openai+http://localhost:11434/v1/?model=llama3.2",
            [OCTOLLM, OPENAI],
        ),
        (
            "a=octollm+https://arm.example/base?capability=validate&capability=execute&room=2"
            "&timeout=300&idempotent=true&tier=1",
            [
                Arm(
                    name="a",
                    protocol=Protocol.OCTOLLM,
                    url="https://arm.example/base",
                    capabilities=(Capability.EXECUTE, Capability.VALIDATE),
                    room=2,
                    timeout_seconds=300,
                    is_idempotent=True,
                    tier=1,
                )
            ],
        ),
        (
            "gpt-5=openai+https://api.example/v1?model=org%2Fgpt%2C5&capability=plan"
            "&idempotent=False&usd_per_million_input=0.15&usd_per_million_output=10",
            [
                Arm(
                    name="gpt-5",
                    protocol=Protocol.OPENAI,
                    url="https://api.example/v1",
                    model="org/gpt,5",
                    capabilities=(Capability.PLAN,),
                    is_idempotent=False,
                    usd_per_million_input=Decimal("0.15"),
                    usd_per_million_output=Decimal(10),
                )
            ],
        ),
    ],
    ids=["none", "commas", "octollm", "spaces", "openai", "two", "options", "prices"],
)
def test_a_declaration_gives_arms(text: str, arms: list[Arm]) -> None:
    assert parse_arms(text) == arms


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (SECRET, "Arm number 1 must look like name=octollm+http://host:8090."),
        (
            f"{SECRET.upper()}=octollm+http://h",
            "The name of arm number 1 must have 1 to 40 of a-z, 0-9 and -, and begin with a "
            "letter.",
        ),
        (f"a={SECRET}+http://h", "The protocol of arm a must be one of octollm, openai."),
        ("a=http://s3cret", "The protocol of arm a must be one of octollm, openai."),
        (f"a=octollm+{SECRET}", "The url of arm a must look like http://host:8090."),
        (
            f"a=octollm+http://user:{SECRET}@h",
            "The url of arm a must have no user and password; use the arm's secret.",
        ),
        (f"a=octollm+http://h#{SECRET}", "The url of arm a must have no query and no fragment."),
        (
            f"a=openai+http://h/{SECRET}?model=m",
            "The url of arm a of a model server must end in /v1.",
        ),
        (
            "a=openai+http://h/v1",
            "The model of arm a is missing, and an openai arm needs one.",
        ),
        (f"a=octollm+http://h?model={SECRET}", "The model of arm a is only for openai arms."),
        (
            f"a=octollm+http://h?capability={SECRET}",
            "The option capability of arm a must be one of execute, plan, validate.",
        ),
        (
            f"a=octollm+http://h?room={SECRET}",
            "The option room of arm a must be a whole number from 1 to 1000.",
        ),
        (
            "a=octollm+http://h?timeout=301",
            "The option timeout of arm a must be a whole number from 1 to 300.",
        ),
        (
            "a=octollm+http://h?tier=0",
            "The option tier of arm a must be a whole number from 1 to 9.",
        ),
        (
            f"a=octollm+http://h?idempotent={SECRET}",
            "The option idempotent of arm a must be true or false.",
        ),
        (
            "a=octollm+http://h?usd_per_million_input=nan",
            "The option usd_per_million_input of arm a must be a number from 0 to 10000 with at "
            "most 6 decimals.",
        ),
        (
            f"a=octollm+http://h?{SECRET}={SECRET}",
            "An option of arm a is unknown; known are model, capability, room, timeout, "
            "idempotent, tier, usd_per_million_input, usd_per_million_output.",
        ),
        ("a=octollm+http://h?room=1&room=2", "The option room of arm a is given twice."),
        ("a=octollm+http://h,a=octollm+http://i", "Two arms have the name a."),
    ],
)
def test_a_fault_names_arm_and_option_but_no_value(text: str, fault: str) -> None:
    found = faults(text)

    assert found == [fault]
    assert SECRET not in " ".join(found).lower()


def test_all_faults_of_all_arms_are_named() -> None:
    found = faults(
        "one=octollm+ftp://h?room=x&tier=x,Two=octollm+http://h,three=openai+http://h/v1,ok=octollm+http://h"
    )

    assert [fault[:24] for fault in found] == [
        "The url of arm one must ",
        "The option room of arm o",
        "The option tier of arm o",
        "The name of arm number 2",
        "The model of arm three i",
    ]


# Single values


@pytest.mark.parametrize("name", ["a", "gpt-5", "a" * 40])
def test_a_name_is_accepted(name: str) -> None:
    assert valid_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "5a", "-a", "a_b", "a.b", "a b", "a\n", "ä", "a" * 41])
def test_a_name_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        valid_name(name)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "https://arm.example:8443/a/b",
        "http://10.0.0.1:8090",
        "http://[::1]:8090",
        "http://my_arm:1",
    ],
)
def test_a_url_is_accepted_and_can_be_called(url: str) -> None:
    assert valid_url(url, Protocol.OCTOLLM) == url
    Service(url=url, connections=1, max_answer_bytes=1, rate_limit_seconds=1)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8090",
        "//host",
        "http://",
        "http:///path",
        "http://:8090",
        "ftp://host",
        "file:///etc/passwd",
        "javascript://host/%0a",
        "http://host:0",
        "http://host:65536",
        "http://host:80a",
        "http://host:",
        "http://[::1",
        "http://[nonsense]:80",
        "http://user@host",
        "http://user:word@host",
        "http://@host",
        "http://host?a=b",
        "http://host?",
        "http://host#a",
        "http://host#",
        "http://ho st",
        "http://host/a b",
        # urlsplit drops these.
        "http://ho\nst",
        "http://host/\t",
        "http://host\r\nX-Injected: 1",
        "http://höst",
        "http://host\\@evil.example",
        "http://.host",
        "http://-host",
        "http://a%2fb",
        "http://host/" + "a" * 500,
    ],
)
def test_a_url_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        valid_url(url, Protocol.OCTOLLM)


@pytest.mark.parametrize("url", ["http://h", "http://h/v1/chat", "http://h/v2", "http://h/xv1"])
def test_the_url_of_a_model_server_ends_in_v1(url: str) -> None:
    assert valid_url("http://h/v1", Protocol.OPENAI) == "http://h/v1"
    with pytest.raises(Invalid):
        valid_url(url, Protocol.OPENAI)


@pytest.mark.parametrize("model", ["", "a\nb", "a" * 201])
def test_a_model_is_refused(model: str) -> None:
    assert valid_model("org/model:8b", Protocol.OPENAI) == "org/model:8b"
    with pytest.raises(Invalid):
        valid_model(model, Protocol.OPENAI)


@pytest.mark.parametrize(
    ("value", "price"),
    [("0", 0), ("10000", 10_000), ("0.000001", Decimal("0.000001")), ("1e-3", Decimal("0.001"))],
)
def test_a_price_is_accepted(value: str, price: Decimal) -> None:
    assert valid_price(value) == price


@pytest.mark.parametrize(
    "value",
    [
        *[
            "",
            " 1",
            "-0.01",
            "10000.01",
            "nan",
            "sNaN",
            "inf",
            "1,5",
            "$1",
            "0.0000001",
            "1e999999",
        ],
        # A number of Unicode, which Decimal reads.
        "١",
    ],
)
def test_a_price_is_refused(value: str) -> None:
    with pytest.raises(Invalid):
        valid_price(value)


@pytest.mark.parametrize("value", ["", "0", "-1", "1.0", " 1", "1e2", "²", "9" * 5_000])
def test_a_whole_number_is_refused(value: str) -> None:
    for check in (valid_room, valid_timeout_seconds, valid_tier):
        with pytest.raises(Invalid):
            check(value)


def test_whole_numbers_are_accepted() -> None:
    assert [valid_room("1000"), valid_timeout_seconds("300"), valid_tier("9")] == [1_000, 300, 9]


@pytest.mark.parametrize("secret", ["sk-1!~", "x" * 1_000])
def test_a_secret_is_accepted(secret: str) -> None:
    assert valid_secret(secret) == secret


@pytest.mark.parametrize("secret", ["", "a b", "a\n", "a\r\nX: 1", "ä", "\0", "x" * 1_001])
def test_a_secret_is_refused(secret: str) -> None:
    with pytest.raises(Invalid) as caught:
        valid_secret(secret)
    assert str(caught.value) == (
        "must have 1 to 1000 characters, all of printable ASCII, without spaces and line breaks"
    )


def test_the_variable_of_a_secret_is_named_after_the_arm() -> None:
    assert secret_variable("gpt-5") == "ARM_GPT_5_SECRET"
