"""`POST /submit` and `GET /tasks/{task_id}`."""

from typing import Any
from uuid import UUID

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import MethodNotAllowed, NotFound, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from safety.gate import gate
from safety.origin import origin_of
from tasks.api.fields import MAX_UNKNOWN_SHOWN, shown
from tasks.api.parsers import check_length
from tasks.api.schema import (
    LOCATION,
    READ_ANSWERS,
    REDACTED,
    RETRY_AFTER,
    SUBMIT_ANSWERS,
    SUBMIT_EXAMPLES,
    TASK_ID,
)
from tasks.api.serializers import (
    SubmissionSerializer,
    TaskDetailSerializer,
    describe_read_task,
    describe_task,
    parse_submission,
)
from tasks.models import Task
from tasks.reading import read_task
from tasks.services import submit_task


class NotStored(APIView):
    """Answers with texts of clients, which no cache may store. That includes errors."""

    @property
    def default_response_headers(self) -> dict[str, str]:
        return super().default_response_headers | {"Cache-Control": "no-store"}


class SubmitView(NotStored, GenericAPIView[Task]):
    # Title and text of the page that a browser gets.
    name = "Submit a task"
    description = "Every text of a task is screened first; an unsafe task is refused."

    serializer_class = SubmissionSerializer

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method == "POST":
            _check_parameters(request)
            check_length(request)

    @property
    def allowed_methods(self) -> list[str]:
        """The methods of the API. GET is only for the form in a browser."""
        return ["POST", "OPTIONS"]

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        """Show the page with the form."""
        if not isinstance(request.accepted_renderer, BrowsableAPIRenderer):
            raise MethodNotAllowed("GET")
        return Response({"detail": "Fill in the form below, and POST it."})

    @extend_schema(
        operation_id="submit_task",
        summary="Submit a task",
        tags=["tasks"],
        parameters=[LOCATION, REDACTED, RETRY_AFTER],
        examples=SUBMIT_EXAMPLES,
        responses=SUBMIT_ANSWERS,
    )
    def post(self, request: Request) -> Response:
        """The Reflex Layer screens every text of the task before anything is stored."""
        task, redacted_types = submit_task(
            submission=parse_submission(request.data),
            gate=gate(),
            origin=origin_of(request),
        )
        headers = {"Location": reverse("task", args=[task.pk])}
        if redacted_types:
            headers["X-Redacted"] = ", ".join(redacted_types)
        return Response(describe_task(task), headers=headers)


class TaskView(NotStored, GenericAPIView[Task]):
    name = "Task"
    description = "The current state of a task, with its newest result."

    serializer_class = TaskDetailSerializer

    @extend_schema(
        operation_id="read_task",
        summary="Read a task",
        tags=["tasks"],
        parameters=[TASK_ID, RETRY_AFTER],
        responses=READ_ANSWERS,
    )
    def get(self, request: Request, task_id: str) -> Response:
        """The current state of the task, with its newest result."""
        return Response(describe_read_task(read_task(_parsed(task_id))))


def _check_parameters(request: Request) -> None:
    """Refuse unknown parameters in the URL: a client might rely on their effect."""
    # DRF reads this one, for the format of the answer.
    known = {api_settings.URL_FORMAT_OVERRIDE}
    if unknown := sorted(request.query_params.keys() - known)[:MAX_UNKNOWN_SHOWN]:
        raise ValidationError(
            {shown(name): ["Unknown parameter; only the body is read."] for name in unknown}
        )


def _parsed(task_id: str) -> UUID:
    try:
        return UUID(task_id)
    except ValueError as error:
        raise NotFound("Task not found") from error
