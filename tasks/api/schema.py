"""The OpenAPI description of the requests: every answer, errors included."""

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
    inline_serializer,
)
from rest_framework import serializers

from tasks.api.fields import NOT_BLANK
from tasks.api.serializers import EXAMPLE, TaskDetailSerializer, TaskSerializer
from tasks.models.task import COST_DECIMALS


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


INVALID: Final = OpenApiResponse(
    OpenApiTypes.OBJECT,
    description="The body does not validate: a list of faults for each field, or one `detail`.",
    examples=[
        OpenApiExample("A field", value={"goal": ["This field is required."]}),
        OpenApiExample("The body", value={"detail": "The body is not UTF-8."}),
    ],
)
RETRY_AFTER: Final = OpenApiParameter(
    "Retry-After",
    OpenApiTypes.INT,
    OpenApiParameter.HEADER,
    response=[503],
    description="Seconds to wait before another try.",
)
LOCATION: Final = OpenApiParameter(
    "Location",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    response=[200],
    description="Where the task can be read.",
)
REDACTED: Final = OpenApiParameter(
    "X-Redacted",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    response=[200],
    description="The types of personal data that were replaced before the task was stored, such "
    "as `Email, Phone`; absent if nothing was replaced.",
)
_LACKS: Final = {
    "No database": "The database cannot be reached now. Try again later.",
    "Overloaded": "Too many requests are under way. Try again in a moment.",
}
SUBMIT_UNAVAILABLE: Final = error(
    "Temporarily unavailable: there is no verdict, the database cannot be reached, or there are "
    "too many requests. Nothing was stored. Try again after `Retry-After` seconds.",
    {
        "No verdict": "The safety of the task cannot be checked now. Nothing was stored; try "
        "again later.",
        **_LACKS,
    },
)
READ_UNAVAILABLE: Final = error(
    "Temporarily unavailable: the database cannot be reached, or there are too many requests. Try "
    "again after `Retry-After` seconds.",
    _LACKS,
)
NOT_ACCEPTABLE: Final = error("`Accept` names neither `application/json` nor `text/html`.")

SUBMIT_ANSWERS: Final = {
    200: TaskSerializer,
    400: INVALID,
    403: error(
        "The gate refuses the task. Nothing was stored.",
        {
            "PII": "Safety check failed: PII detected in input",
            "Injection": "Safety check failed: injection detected in input",
            "Both": "Safety check failed: PII and injection detected in input",
            "Blocked": "Safety check failed: blocked by the Reflex Layer",
        },
    ),
    405: error("Only POST."),
    406: NOT_ACCEPTABLE,
    411: error("A body in chunks."),
    413: error("The body is too large."),
    415: error(
        "The body is not JSON.",
        {"Another type": "Send the body as application/json, and say so in Content-Type."},
    ),
    500: error("A fault of the service."),
    503: SUBMIT_UNAVAILABLE,
}
READ_ANSWERS: Final = {
    200: TaskDetailSerializer,
    404: error("There is no such task.", {"Unknown": "Task not found"}),
    405: error("Only GET."),
    406: NOT_ACCEPTABLE,
    500: error("A fault of the service."),
    503: READ_UNAVAILABLE,
}
SUBMIT_EXAMPLES: Final = [OpenApiExample("A task", request_only=True, value=EXAMPLE)]
TASK_ID: Final = OpenApiParameter(
    "task_id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="The task's UUID."
)
