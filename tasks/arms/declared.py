"""Arms as operators declare them: `name=protocol+url?options`, several separated by commas.

The checks of single values serve the console's form too. No message quotes a value: a URL or a
mistyped option may hold a secret.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from tasks.arms.description import (
    MAX_NAME_CHARACTERS,
    MAX_ROOM,
    MAX_TIER,
    MAX_TIMEOUT_SECONDS,
    MAX_USD_PER_MILLION_TOKENS,
    MIN_TIMEOUT_SECONDS,
    Arm,
    Capability,
    Protocol,
)

MAX_URL_CHARACTERS: Final = 500
MAX_MODEL_CHARACTERS: Final = 200
MAX_SECRET_CHARACTERS: Final = 1_000
MAX_PRICE_DECIMALS: Final = 6
_NAME: Final = re.compile(rf"[a-z][a-z0-9-]{{0,{MAX_NAME_CHARACTERS - 1}}}")
_HOST: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*|[0-9A-Fa-f:.]+")
# Printable ASCII without the space.
_PRINTABLE: Final = re.compile(r"[!-~]+")
_DEFAULTS: Final[Mapping[Protocol, Mapping[str, Any]]] = {
    Protocol.OCTOLLM: {"capabilities": (Capability.EXECUTE,), "is_idempotent": False},
    Protocol.OPENAI: {"capabilities": tuple(Capability), "is_idempotent": True},
}


class Invalid(Exception):
    """A value is not allowed; the message is a phrase that completes `The url ...`."""


class InvalidArms(Exception):
    """A declaration of arms has faults.

    Attributes:
        faults: a sentence about each.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = faults


# Single values: each function returns the value, or raises `Invalid`.


def valid_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise Invalid(
            f"must have 1 to {MAX_NAME_CHARACTERS} of a-z, 0-9 and -, and begin with a letter"
        )
    return value


def valid_url(value: str, protocol: Protocol) -> str:
    """Return the URL without a slash at its end."""
    # urlsplit drops line breaks and tabs.
    if len(value) > MAX_URL_CHARACTERS or not _PRINTABLE.fullmatch(value):
        raise Invalid(
            f"must have 1 to {MAX_URL_CHARACTERS} characters, all of printable ASCII, "
            "without spaces"
        )
    try:
        parts = urlsplit(value)
        # Reading the port checks it.
        has_address = parts.port != 0 and not parts.netloc.endswith(":")
    except ValueError:
        raise Invalid("is not a valid URL") from None
    has_address = has_address and _HOST.fullmatch(parts.hostname or "") is not None
    if parts.scheme not in ("http", "https") or not has_address:
        raise Invalid("must look like http://host:8090")
    if "@" in parts.netloc:
        raise Invalid("must have no user and password; use the arm's secret")
    if parts.query or parts.fragment or value.endswith(("?", "#")):
        raise Invalid("must have no query and no fragment")
    url = value.rstrip("/")
    if protocol is Protocol.OPENAI and not url.endswith("/v1"):
        raise Invalid("of a model server must end in /v1")
    return url


def valid_model(value: str, protocol: Protocol) -> str:
    if protocol is Protocol.OCTOLLM:
        if value:
            raise Invalid("is only for openai arms")
        return value
    if not value:
        raise Invalid("is missing, and an openai arm needs one")
    if len(value) > MAX_MODEL_CHARACTERS or not value.isprintable():
        raise Invalid(f"must have at most {MAX_MODEL_CHARACTERS} printable characters")
    return value


def valid_price(value: str) -> Decimal:
    """Return a price in dollars for a million tokens."""
    try:
        price = Decimal(value) if _PRINTABLE.fullmatch(value) else None
    except InvalidOperation:
        price = None
    # Comparisons with a NaN raise an exception.
    if (
        price is None
        or not price.is_finite()
        or not 0 <= price <= MAX_USD_PER_MILLION_TOKENS
        or price != round(price, MAX_PRICE_DECIMALS)
    ):
        raise Invalid(
            f"must be a number from 0 to {MAX_USD_PER_MILLION_TOKENS} with at most "
            f"{MAX_PRICE_DECIMALS} decimals"
        )
    return round(price, MAX_PRICE_DECIMALS).normalize()


def valid_secret(value: str) -> str:
    """Return a secret that can stand in a header."""
    if len(value) > MAX_SECRET_CHARACTERS or not _PRINTABLE.fullmatch(value):
        raise Invalid(
            f"must have 1 to {MAX_SECRET_CHARACTERS} characters, all of printable ASCII, "
            "without spaces and line breaks"
        )
    return value


def _whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    def valid(value: str) -> int:
        is_number = value.isascii() and value.isdigit() and len(value) <= len(str(highest))
        if not is_number or not lowest <= int(value) <= highest:
            raise Invalid(f"must be a whole number from {lowest} to {highest}")
        return int(value)

    return valid


def _truth(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise Invalid("must be true or false")
    return value.lower() == "true"


def _protocol(value: str) -> Protocol:
    if value not in {*Protocol}:
        raise Invalid(f"must be one of {', '.join(Protocol)}")
    return Protocol(value)


def _capability(value: str) -> Capability:
    if value not in {*Capability}:
        raise Invalid(f"must be one of {', '.join(Capability)}")
    return Capability(value)


valid_room = _whole_number(1, MAX_ROOM)
valid_timeout_seconds = _whole_number(MIN_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS)
valid_tier = _whole_number(1, MAX_TIER)
# Option: field of the arm, and the check of its value. `model` and `capability` are special.
_OPTIONS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "room": ("room", valid_room),
    "timeout": ("timeout_seconds", valid_timeout_seconds),
    "idempotent": ("is_idempotent", _truth),
    "tier": ("tier", valid_tier),
    "usd_per_million_input": ("usd_per_million_input", valid_price),
    "usd_per_million_output": ("usd_per_million_output", valid_price),
}


# Whole declarations


def parse_arms(text: str) -> list[Arm]:
    """Return the arms of a declaration, in its order.

    Raises:
        InvalidArms: with all faults.
    """
    arms: list[Arm] = []
    faults: list[str] = []
    names: set[str] = set()
    declarations = [declaration for part in text.split(",") if (declaration := part.strip())]
    for number, declaration in enumerate(declarations, start=1):
        reader = _Declaration(number, declaration)
        arm = reader.arm()
        faults += reader.faults
        if arm is None:
            continue
        if arm.name in names:
            faults.append(f"Two arms have the name {arm.name}.")
        names.add(arm.name)
        arms.append(arm)
    if faults:
        raise InvalidArms(faults)
    return arms


def secret_variable(name: str) -> str:
    """Return the variable that holds an arm's secret, without the prefix of all variables."""
    return f"ARM_{name.upper().replace('-', '_')}_SECRET"


class _Declaration:
    """One `name=protocol+url?options`.

    Attributes:
        faults: filled by `arm`.
    """

    def __init__(self, number: int, text: str) -> None:
        name, separator, rest = text.partition("=")
        self._name = name.strip()
        self._has_name = bool(separator)
        self._address, _, self._query = rest.strip().partition("?")
        self._number = number
        self.faults: list[str] = []

    def arm(self) -> Arm | None:
        """Return the arm, or None if there are faults."""
        if not self._has_name:
            self._fault(f"Arm number {self._number} must look like name=octollm+http://host:8090.")
            return None
        # A name that is none may be anything, a secret for example.
        if self._checked("name", valid_name, self._name) is None:
            return None
        written, plus, address = self._address.partition("+")
        protocol = self._checked("protocol", _protocol, written if plus else "")
        if protocol is None:
            return None
        url = self._checked("url", lambda value: valid_url(value, protocol), address)
        fields = self._fields(protocol)
        if url is None or self.faults:
            return None
        arm = Arm(name=self._name, protocol=protocol, url=url)
        return replace(arm, **{**_DEFAULTS[protocol], **fields})

    def _fields(self, protocol: Protocol) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        capabilities: list[Capability] = []
        model = ""
        given: set[str] = set()
        for option, value in parse_qsl(self._query, keep_blank_values=True):
            if option == "capability":
                if (capability := self._checked(option, _capability, value)) is not None:
                    capabilities.append(capability)
            elif option != "model" and option not in _OPTIONS:
                known = ", ".join(["model", "capability", *_OPTIONS])
                self._fault(f"An option of arm {self._name} is unknown; known are {known}.")
            elif option in given:
                self._fault(f"The option {option} of arm {self._name} is given twice.")
            elif option == "model":
                model = value
            else:
                field, check = _OPTIONS[option]
                fields[field] = self._checked(option, check, value)
            given.add(option)
        fields["model"] = self._checked("model", lambda name: valid_model(name, protocol), model)
        if capabilities:
            # In one order, so that a change of the order changes nothing.
            fields["capabilities"] = tuple(one for one in Capability if one in capabilities)
        return fields

    def _checked(self, what: str, check: Callable[[str], Any], value: str) -> Any:
        try:
            return check(value)
        except Invalid as invalid:
            arm = f"arm number {self._number}" if what == "name" else f"arm {self._name}"
            if what in _OPTIONS or what == "capability":
                what = f"option {what}"
            self._fault(f"The {what} of {arm} {invalid}.")
            return None

    def _fault(self, sentence: str) -> None:
        self.faults.append(sentence)
