"""The requests about tasks, and `GET /client`."""

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.generics import GenericAPIView
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from safety.gate import gate
from safety.origin import origin_of
from tasks.api import schema
from tasks.api.answers import (
    describe_caller,
    describe_event,
    describe_listed_task,
    describe_read_task,
    describe_screening,
    describe_task,
)
from tasks.api.cursors import Cursors, position_of_task, task_position
from tasks.api.operation import Operation, parsed_id
from tasks.api.parsers import IDEMPOTENCY_KEY, check_is_empty, check_length
from tasks.api.query import (
    DRY_RUN,
    LIMIT,
    LISTING,
    PAGING,
    as_parameters,
    check_dry_run,
    is_dry_run,
    parse_cursor,
    parse_filter,
    parse_limit,
)
from tasks.api.serializers import SubmissionSerializer, TaskDetailSerializer, parse_submission
from tasks.clients.caller import Caller
from tasks.clients.idempotency import Claim, claim_of
from tasks.clients.scopes import Scope
from tasks.listing import event_page, task_page
from tasks.models import Task
from tasks.reading import read_task
from tasks.services import cancel_task, submit_task


class SubmitView(Operation, GenericAPIView[Task]):
    # Title and text of the page that a browser gets.
    name = "Submit a task"
    description = "Every text of a task is screened first; an unsafe task is refused."

    serializer_class = SubmissionSerializer
    parameters = frozenset({DRY_RUN})

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.is_dry_run = is_dry_run(request.query_params)
        if self.is_dry_run:
            # Counted as an endpoint of its own.
            django_request: Any = request._request
            django_request.endpoint_detail = f"?{DRY_RUN}=true"
        super().initial(request, *args, **kwargs)
        if request.method == "POST":
            check_dry_run(request.query_params)
            check_length(request)

    def perform_authentication(self, request: Request) -> None:
        """Show the form to everybody; the POST shows the key or token."""
        if request.method == "GET":
            self.caller = Caller()
        else:
            super().perform_authentication(request)

    def check_permissions(self, request: Request) -> None:
        if request.method == "POST":
            if self.is_dry_run:
                self.caller.require(Scope.DRY_RUN)
            elif not self.caller.is_anonymous:
                self.caller.require(Scope.SUBMIT)

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

    @extend_schema(**schema.SUBMIT)
    def post(self, request: Request) -> Response:
        """The Reflex Layer screens every text of the task before anything is stored."""
        submission, claim = parse_submission(request.data), self._claim(request)
        if self.is_dry_run:
            screening = gate().screen(submission.document, request_id=origin_of(request).request_id)
            return Response(describe_screening(screening, gate().policy_version))
        accepted = submit_task(
            submission=submission,
            gate=gate(),
            origin=origin_of(request),
            max_pending=self.caller.max_pending,
            claim=claim,
        )
        headers = {"Location": reverse("task", args=[accepted.task.pk])}
        if accepted.redacted_types:
            headers["X-Redacted"] = ", ".join(accepted.redacted_types)
        if accepted.is_replayed:
            headers["Idempotency-Replayed"] = "true"
        return Response(describe_task(accepted.task), headers=headers)

    def _claim(self, request: Request) -> Claim | None:
        key = request.META.get(IDEMPOTENCY_KEY)
        if key is None:
            return None
        django_request: Any = request._request
        return claim_of(self.caller.client_id, key, django_request.raw_body)


class TaskListView(Operation):
    name = "Tasks"
    description = "The tasks of the client whose key or token comes with the request, newest first."

    scopes = {"GET": Scope.READ}
    parameters = LISTING

    @extend_schema(**schema.LIST)
    def get(self, request: Request) -> Response:
        """The client's own tasks, newest first. Filters combine."""
        client_id, params = self.caller.require_client(), request.query_params
        limit, chosen = parse_limit(params), parse_filter(params)
        shown = as_parameters(chosen)
        cursors = Cursors("tasks", client_id, shown)
        cursor = cursors.read(parse_cursor(params))
        page = task_page(
            client_id,
            chosen,
            position=task_position(cursor),
            is_backward=cursor is not None and cursor.is_backward,
            limit=limit,
        )
        links = cursors.links(request, page, position_of_task, {**shown, LIMIT: limit})
        return Response({**links, "results": [describe_listed_task(task) for task in page.rows]})


class TaskView(Operation, GenericAPIView[Task]):
    name = "Task"
    description = "The current state of a task, with its newest result."

    serializer_class = TaskDetailSerializer

    @extend_schema(**schema.READ)
    def get(self, request: Request, task_id: str) -> Response:
        """The current state of the task, with its newest result."""
        task = read_task(parsed_id(task_id))
        self.check_reader(task.client_id)
        return Response(describe_read_task(task))


class EventListView(Operation):
    name = "Events of a task"
    description = "What happened to a task, its submission first."

    parameters = PAGING

    @extend_schema(**schema.EVENTS)
    def get(self, request: Request, task_id: str) -> Response:
        """Every change of status and priority, the submission first."""
        params = request.query_params
        limit, pk = parse_limit(params), parsed_id(task_id)
        owner_id, created_at = Task.objects.values_list("client_id", "created_at").get(pk=pk)
        self.check_reader(owner_id)
        cursors = Cursors("events", self.caller.client_id, pk)
        cursor = cursors.read(parse_cursor(params))
        page = event_page(
            pk,
            created_at,
            position=None if cursor is None else cursor.position[0],
            is_backward=cursor is not None and cursor.is_backward,
            limit=limit,
        )
        links = cursors.links(request, page, lambda event: [event.id], {LIMIT: limit})
        return Response({**links, "results": [describe_event(event) for event in page.rows]})


class CancelView(Operation):
    name = "Cancel a task"
    description = "End a task that is pending or being processed."

    scopes = {"POST": Scope.CANCEL}

    @extend_schema(**schema.CANCEL)
    def post(self, request: Request, task_id: str) -> Response:
        """A task that was cancelled before stays as it is, and the answer is the same."""
        check_is_empty(request)
        pk = parsed_id(task_id)
        if not Task.objects.filter(pk=pk, client=self.caller.client_id).exists():
            raise Task.DoesNotExist
        return Response(describe_read_task(cancel_task(pk)))


class ClientView(Operation):
    name = "Client"
    description = "What the service knows about the key or token that comes with the request."

    def check_permissions(self, request: Request) -> None:
        if request.method in ("GET", "HEAD"):
            self.caller.require_client()

    @extend_schema(**schema.CLIENT)
    def get(self, request: Request) -> Response:
        """The client of the key or token, what that may do, and what is left of the limit."""
        return Response(describe_caller(self.caller))
