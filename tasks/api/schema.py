"""The OpenAPI description of the requests: keys and scopes, parameters, every answer."""

from collections.abc import Mapping
from typing import Any, Final

from drf_spectacular.extensions import (
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    inline_serializer,
)
from rest_framework import serializers

from tasks.api.cursors import CURSOR
from tasks.api.fields import NOT_BLANK
from tasks.api.query import DEFAULT_LIMIT, LIMIT, MAX_LIMIT
from tasks.api.serializers import (
    EXAMPLE,
    ClientSerializer,
    EventPageSerializer,
    ScreeningSerializer,
    TaskDetailSerializer,
    TaskPageSerializer,
    TaskSerializer,
)
from tasks.clients.idempotency import MAX_KEY_CHARACTERS
from tasks.clients.scopes import Scope
from tasks.models.task import COST_DECIMALS
from tasks.states import Priority, Status


class KnownFieldsOnlySchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Describes that unknown fields are refused."""

    target_class = "tasks.api.fields.KnownFieldsOnly"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> Any:
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**schema, "additionalProperties": False}


class TextFieldSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Describes that blank texts are refused."""

    target_class = "tasks.api.fields.TextField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        schema = auto_schema._map_serializer_field(self.target, direction, bypass_extensions=True)
        return {**schema, "pattern": NOT_BLANK}


class DecimalFieldSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Describes how many decimals are allowed."""

    target_class = "tasks.api.fields.DecimalField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        schema = auto_schema._map_serializer_field(self.target, direction, bypass_extensions=True)
        return {**schema, "multipleOf": 10**-COST_DECIMALS}


DETAIL: Final = inline_serializer("Detail", {"detail": serializers.CharField()})


def error(description: str, details: Mapping[str, str] | None = None) -> OpenApiResponse:
    """Return the description of an error answer, with examples of its details under short names."""
    return OpenApiResponse(
        DETAIL,
        description=description,
        examples=[
            OpenApiExample(name, value={"detail": text}) for name, text in (details or {}).items()
        ],
    )


# The ways to send a key or token; `security_of` says what each operation needs.
SECURITY_SCHEMES: Final = {
    "Bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or a token of the issuer that the service trusts.",
    },
    "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key in a header of its own.",
    },
}


def add_security_schemes(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the schemes to the document; a hook of drf-spectacular."""
    result["components"]["securitySchemes"] = SECURITY_SCHEMES
    return result


def security_of(*scopes: Scope, is_optional: bool = False) -> list[dict[str, list[str]]]:
    """Return what an operation needs: a key or token with one of `scopes`, in either header.

    Args:
        is_optional: whether requests without one may be let in, too.
    """
    anonymous: list[dict[str, list[str]]] = [{}] if is_optional else []
    return anonymous + [
        {scheme: [scope.value] if scope else []}
        for scope in scopes or (None,)
        for scheme in SECURITY_SCHEMES
    ]


INVALID: Final = OpenApiResponse(
    OpenApiTypes.OBJECT,
    description="The body or a parameter does not validate: a list of faults for each field, or "
    "one `detail`.",
    examples=[
        OpenApiExample("A field", value={"goal": ["This field is required."]}),
        OpenApiExample("The body", value={"detail": "The body is not UTF-8."}),
    ],
)


def _header(name: str, type_: Any, description: str, *statuses: int) -> OpenApiParameter:
    return OpenApiParameter(
        name, type_, OpenApiParameter.HEADER, response=[*statuses], description=description
    )


RETRY_AFTER: Final = _header(
    "Retry-After", OpenApiTypes.INT, "Seconds to wait before another try.", 429, 503
)
WWW_AUTHENTICATE: Final = _header(
    "WWW-Authenticate",
    OpenApiTypes.STR,
    'With 401 `Bearer`; with a 403 for a scope `Bearer error="insufficient_scope"`, and the scope.',
    401,
    403,
)
SUBMIT_HEADERS: Final = [
    _header("Location", OpenApiTypes.STR, "Where the task can be read.", 200),
    _header(
        "X-Redacted",
        OpenApiTypes.STR,
        "The types of personal data that were replaced before the task was stored, such as `Email, "
        "Phone`; absent if nothing was replaced.",
        200,
    ),
    _header(
        "Idempotency-Replayed",
        OpenApiTypes.STR,
        "`true` if the answer is that of an earlier request with the same key.",
        200,
        403,
    ),
]
IDEMPOTENCY_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": f"^[!-~]([ -~]{{0,{MAX_KEY_CHARACTERS - 2}}}[!-~])?$"},
    OpenApiParameter.HEADER,
    description="Any printable ASCII characters, such as a UUID. The same submission again within "
    "24 hours gets the first answer, and no second task is made. Needs an API key or token.",
)
DRY_RUN: Final = OpenApiParameter(
    "dry_run",
    {"type": "string", "enum": ["true", "false"]},
    description="`true` only screens the texts and stores nothing. Needs `gate:dry_run`.",
)
TASK_ID: Final = OpenApiParameter(
    "task_id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="The task's UUID."
)
PAGING: Final = [
    OpenApiParameter(
        LIMIT,
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        description="The largest number of rows on the page.",
    ),
    OpenApiParameter(
        CURSOR,
        description="Where the page begins. Follow `next` and `previous` instead of setting it.",
    ),
]


def _choices(name: str, values: list[str]) -> OpenApiParameter:
    return OpenApiParameter(
        name,
        {"type": "array", "items": {"type": "string", "enum": values}},
        description="May be repeated, for one or the other.",
        explode=True,
        style="form",
    )


FILTERS: Final = [
    _choices("status", Status.values),
    _choices("priority", Priority.values),
    *(
        OpenApiParameter(
            name,
            OpenApiTypes.DATETIME,
            description=f"Only tasks that were {what} this time, with its zone; exclusive.",
        )
        for name, what in (
            ("created_after", "created after"),
            ("created_before", "created before"),
            ("updated_after", "changed after"),
        )
    ),
]

_LACKS: Final = {
    "No database": "The database cannot be reached now. Try again later.",
    "No keys": "The token cannot be checked now, because the keys of its issuer are not available. "
    "Try again later.",
    "Overloaded": "Too many requests are under way. Try again in a moment.",
}
NOT_FOUND: Final = error("There is no such task for this caller.", {"Unknown": "Task not found"})
# What every operation may answer, whatever it does.
COMMON: Final = {
    400: INVALID,
    401: error(
        "There is a key or token that is not good, or none where one is needed.",
        {
            "Refused": "A valid API key or token is needed: send it as Authorization: Bearer "
            "<key or token>."
        },
    ),
    405: error("This method is not supported here."),
    406: error("`Accept` names neither `application/json` nor `text/html`."),
    411: error("A body in chunks."),
    413: error("The body is too large."),
    429: error(
        "Too many requests, or too many pending tasks. Try again after `Retry-After` seconds."
    ),
    500: error("A fault of the service."),
    503: error(
        "Temporarily unavailable: the database cannot be reached, the keys of the token's issuer "
        "are not available, or there are too many requests. Try again after `Retry-After` seconds.",
        _LACKS,
    ),
}
_LACKS_SCOPE: Final = "This key or token lacks the scope {}."
_MEDIA_TYPE: Final = error(
    "The body is not JSON.",
    {"Another type": "Send the body as application/json, and say so in Content-Type."},
)


def _forbidden(scope: Scope) -> OpenApiResponse:
    return error("The key or token lacks the scope.", {"Scope": _LACKS_SCOPE.format(scope.value)})


# The arguments of `extend_schema`, for each operation.

SUBMIT: Final[dict[str, Any]] = {
    "operation_id": "submit_task",
    "summary": "Submit a task",
    "tags": ["tasks"],
    "auth": security_of(Scope.SUBMIT, Scope.DRY_RUN, is_optional=True),
    "parameters": [DRY_RUN, IDEMPOTENCY_KEY, *SUBMIT_HEADERS, RETRY_AFTER, WWW_AUTHENTICATE],
    "examples": [OpenApiExample("A task", request_only=True, value=EXAMPLE)],
    "responses": {
        **COMMON,
        200: PolymorphicProxySerializer(
            "Submitted", [TaskSerializer, ScreeningSerializer], resource_type_field_name=None
        ),
        403: error(
            "The gate refuses the task, and nothing was stored; or the key or token lacks the "
            "scope.",
            {
                "PII": "Safety check failed: PII detected in input",
                "Injection": "Safety check failed: injection detected in input",
                "Both": "Safety check failed: PII and injection detected in input",
                "Blocked": "Safety check failed: blocked by the Reflex Layer",
                "Scope": _LACKS_SCOPE.format(Scope.SUBMIT.value),
            },
        ),
        415: _MEDIA_TYPE,
        422: error("The idempotency key came before with another body."),
        503: error(
            "Temporarily unavailable: there is no verdict, the database cannot be reached, the "
            "keys of the token's issuer are not available, or there are too many requests. Nothing "
            "was stored. Try again after `Retry-After` seconds.",
            {
                "No verdict": "The safety of the task cannot be checked now. Nothing was stored; "
                "try again later.",
                **_LACKS,
            },
        ),
    },
}
LIST: Final[dict[str, Any]] = {
    "operation_id": "list_tasks",
    "summary": "List tasks",
    "tags": ["tasks"],
    "auth": security_of(Scope.READ),
    "parameters": [*FILTERS, *PAGING, RETRY_AFTER, WWW_AUTHENTICATE],
    "responses": {**COMMON, 200: TaskPageSerializer, 403: _forbidden(Scope.READ)},
}
READ: Final[dict[str, Any]] = {
    "operation_id": "read_task",
    "summary": "Read a task",
    "tags": ["tasks"],
    "auth": security_of(Scope.READ, is_optional=True),
    "parameters": [TASK_ID, RETRY_AFTER, WWW_AUTHENTICATE],
    "responses": {
        **COMMON,
        200: TaskDetailSerializer,
        403: _forbidden(Scope.READ),
        404: NOT_FOUND,
    },
}
EVENTS: Final[dict[str, Any]] = {
    "operation_id": "list_events",
    "summary": "What happened to a task",
    "tags": ["tasks"],
    "auth": security_of(Scope.READ, is_optional=True),
    "parameters": [TASK_ID, *PAGING, RETRY_AFTER, WWW_AUTHENTICATE],
    "responses": {
        **COMMON,
        200: EventPageSerializer,
        403: _forbidden(Scope.READ),
        404: NOT_FOUND,
    },
}
CANCEL: Final[dict[str, Any]] = {
    "operation_id": "cancel_task",
    "summary": "Cancel a task",
    "tags": ["tasks"],
    "auth": security_of(Scope.CANCEL),
    "parameters": [TASK_ID, RETRY_AFTER, WWW_AUTHENTICATE],
    "request": None,
    "responses": {
        **COMMON,
        200: TaskDetailSerializer,
        403: _forbidden(Scope.CANCEL),
        404: NOT_FOUND,
        409: error(
            "The task has ended already.",
            {"Completed": "The task is completed: it cannot become cancelled."},
        ),
        415: _MEDIA_TYPE,
    },
}
CLIENT: Final[dict[str, Any]] = {
    "operation_id": "read_client",
    "summary": "What a key or token may do",
    "tags": ["clients"],
    "auth": security_of(),
    "parameters": [RETRY_AFTER, WWW_AUTHENTICATE],
    "responses": {**COMMON, 200: ClientSerializer},
}
