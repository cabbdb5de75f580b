"""What the value of each setting must look like. Each fault names its variable."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final
from urllib.parse import urlsplit

from environs import ValidationError, validate

from orchestrator_site.database.url import parse_database_url
from orchestrator_site.variables import PREFIX
from safety.findings import CUSTOM_TYPE, INJECTION_TYPES, PII_TYPES, Severity
from safety.policy import PiiAction
from tasks.arms.declared import InvalidArms, parse_arms
from tasks.clients.rate_limits import MAX_RATE_LIMIT
from tasks.clients.tokens.addresses import is_safe_address

# The size of an HMAC-SHA256 key in bytes.
SECRET_KEY_CHARACTERS: Final = 32
MAX_COST_USD: Final = 99_999_999
COST_DECIMALS: Final = 4
MAX_ISSUER_CHARACTERS: Final = 255
ALL_TYPES: Final = PII_TYPES | INJECTION_TYPES | {CUSTOM_TYPE}


def is_database_url(value: str) -> None:
    try:
        parse_database_url(value)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def is_database_url_if_given(value: str) -> None:
    if value:
        is_database_url(value)


def is_amount(value: str) -> None:
    try:
        amount = Decimal(value or 0)
    except InvalidOperation:
        amount = Decimal(-1)
    # NaN is not comparable.
    is_in_range = amount.is_finite() and 0 <= amount <= MAX_COST_USD
    if not is_in_range or amount != round(amount, COST_DECIMALS):
        raise ValidationError(
            f"must be an amount from 0 to {MAX_COST_USD} with at most {COST_DECIMALS} decimals, or "
            "empty for no limit"
        )


def is_http_url(value: str) -> None:
    try:
        parts = urlsplit(value)
        # Reading the port checks it.
        is_valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        is_valid = is_valid and not parts.query and not parts.fragment and " " not in value
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValidationError("must look like http://host:8080")


def is_safe_url(value: str) -> None:
    if value and not is_safe_address(value):
        raise ValidationError(
            "must be an https address such as https://login.example/realms/company; http is for "
            "addresses of this machine only"
        )


def is_issuer(value: str) -> None:
    is_safe_url(value)
    if "?" in value or len(value) > MAX_ISSUER_CHARACTERS:
        raise ValidationError(
            f"must have at most {MAX_ISSUER_CHARACTERS} characters and no question mark"
        )


def is_audience(value: str) -> None:
    if value != value.strip() or not value.isprintable():
        raise ValidationError("must be the audience that tokens name, without spaces around it")


def incomplete(needed: Mapping[str, str], needed_by: Mapping[str, str]) -> dict[str, list[str]]:
    """Return a fault for each needed variable without a value, if one that needs it has a value."""
    given = [name for name, value in needed_by.items() if value]
    return {
        PREFIX + name: [f"is needed with {PREFIX}{given[0]}"]
        for name, value in needed.items()
        if given and not value
    }


def is_rate_limit(value: str) -> None:
    if value and not (value.isascii() and value.isdigit() and 1 <= int(value) <= MAX_RATE_LIMIT):
        raise ValidationError(
            f"must be a whole number from 1 to {MAX_RATE_LIMIT}, or empty for no limit"
        )


def are_arms(value: str) -> None:
    try:
        parse_arms(value)
    except InvalidArms as error:
        raise ValidationError(error.faults) from None


def is_secret_key(value: str) -> None:
    if len(value) < SECRET_KEY_CHARACTERS:
        raise ValidationError(
            f"must have at least {SECRET_KEY_CHARACTERS} characters; generate one with: "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"
        )


def are_hosts(values: list[str]) -> None:
    # Django removes the port from the Host header, so any other value would never match.
    if not all(
        re.fullmatch(r"\*|[\w.-]+|\[[0-9a-fA-F:.]+\]", value) for value in filter(None, values)
    ):
        raise ValidationError(
            "must be hosts such as orchestrator.example or [::1], without scheme, port and path"
        )


def are_origins(values: list[str]) -> None:
    if not all(value.startswith(("http://", "https://")) for value in filter(None, values)):
        raise ValidationError("must be origins such as https://console.example")


def listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def are_types(values: list[str]) -> None:
    if not {*filter(None, values)} <= ALL_TYPES:
        raise ValidationError(f"must be some of {listed(ALL_TYPES)}")


def is_action_by_type(value: dict[str, str]) -> None:
    actions = [action.value for action in PiiAction]
    types = PII_TYPES | {CUSTOM_TYPE}
    if not value.keys() <= types or not {*value.values()} <= {*actions}:
        raise ValidationError(
            f"must be pairs such as Email=redact, of a type ({listed(types)}) and an action "
            f"({listed(actions)})"
        )


IS_SEVERITY = validate.OneOf([severity.name.lower() for severity in Severity])
