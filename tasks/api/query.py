"""The parameters in the URL of a request; unknown ones are refused by name."""

import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from django.db.models import TextChoices
from django.http import QueryDict
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.settings import api_settings

from tasks.api.cursors import CURSOR
from tasks.api.fields import MAX_UNKNOWN_SHOWN, shown
from tasks.clients.keys import contains_credential
from tasks.listing import TaskFilter
from tasks.states import Priority, Status

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
DRY_RUN: Final = "dry_run"
LIMIT: Final = "limit"
TIMES: Final = ("created_after", "created_before", "updated_after")
PAGING: Final = frozenset({LIMIT, CURSOR})
LISTING: Final = PAGING | {"status", "priority", *TIMES}

_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)

Choice = TypeVar("Choice", bound=TextChoices)


def check_parameters(params: QueryDict, known: Collection[str]) -> None:
    """Refuse unknown parameters: a client might rely on their effect.

    A key or token in a URL ends in logs of proxies and browsers. So it is refused, and not quoted.

    Raises:
        ParseError, ValidationError
    """
    if any(
        contains_credential(text) for name, values in params.lists() for text in (name, *values)
    ):
        raise ParseError(
            "An API key or token does not belong in a URL, where others may see it: revoke it, and "
            "send a new one in the Authorization header."
        )
    # DRF reads this one, for the format of the answer.
    unknown = params.keys() - {*known, api_settings.URL_FORMAT_OVERRIDE}
    if unknown:
        hint = f"Known: {', '.join(sorted(known))}." if known else "There are none here."
        raise ValidationError(
            {
                shown(name): [f"Unknown parameter. {hint}"]
                for name in sorted(unknown)[:MAX_UNKNOWN_SHOWN]
            }
        )


def is_dry_run(params: QueryDict) -> bool:
    """Return whether a submission is only to be tried, which decides what scope it needs."""
    return "true" in params.getlist(DRY_RUN)


def check_dry_run(params: QueryDict) -> None:
    """Refuse an unclear parameter: a client might believe that nothing is stored."""
    if _single(params, DRY_RUN) not in (None, "true", "false"):
        raise ValidationError({DRY_RUN: ["Must be true or false."]})


def parse_limit(params: QueryDict) -> int:
    value = _single(params, LIMIT)
    if value is None:
        return DEFAULT_LIMIT
    if not _NUMBER.fullmatch(value) or not 1 <= int(value) <= MAX_LIMIT:
        raise ValidationError({LIMIT: [f"Must be a whole number from 1 to {MAX_LIMIT}."]})
    return int(value)


def parse_cursor(params: QueryDict) -> str | None:
    return _single(params, CURSOR)


def parse_filter(params: QueryDict) -> TaskFilter:
    return TaskFilter(
        statuses=_choices(params, "status", Status),
        priorities=_choices(params, "priority", Priority),
        **{name: _time(params, name) for name in TIMES},
    )


def as_parameters(chosen: TaskFilter) -> dict[str, Any]:
    """Return the parameters of a filter in one form, however the client wrote them."""
    times = {name: getattr(chosen, name) for name in TIMES}
    return {
        "status": [status.value for status in chosen.statuses],
        "priority": [priority.value for priority in chosen.priorities],
        **{
            name: moment.isoformat().replace("+00:00", "Z")
            for name, moment in times.items()
            if moment is not None
        },
    }


def _single(params: QueryDict, name: str) -> str | None:
    values = params.getlist(name)
    if len(values) > 1:
        raise ValidationError({name: ["Give it once."]})
    return values[0] if values else None


def _choices(params: QueryDict, name: str, choices: type[Choice]) -> list[Choice]:
    given = set(params.getlist(name))
    if not given <= {*choices.values}:
        raise ValidationError({name: [f"Must be one of {', '.join(choices.values)}."]})
    return [choice for choice in choices if choice.value in given]


def _time(params: QueryDict, name: str) -> datetime | None:
    value = _single(params, name)
    if value is None:
        return None
    try:
        if not _TIME.fullmatch(value):
            raise ValueError
        # Beyond the year 1 or 9999 in UTC, it overflows.
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValidationError(
            {
                name: [
                    "Must be a time with its zone, such as 2026-11-28T12:00:00Z. In a URL, write "
                    "a + as %2B."
                ]
            }
        ) from error
