"""Every exception of our own that may reach a view has a response."""

import importlib
import inspect
import pkgutil
import uuid
from collections.abc import Iterator

import pytest
from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist
from django.test import RequestFactory
from rest_framework.exceptions import APIException

import safety
import tasks
from orchestrator_site.problems import (
    ERROR_TYPES,
    LENGTH_REQUIRED,
    error_type_of,
    problem_of,
    to_response,
)
from safety.document import TextTooLong
from safety.exceptions import NotAsked, NoVerdict, TooManyFindings
from safety.findings import Kind
from safety.outbound.exceptions import CallFailed
from safety.outbound.transport import Interrupted
from tasks.api.operation import BodyRefused
from tasks.arms.declared import Invalid, InvalidArms
from tasks.arms.exceptions import ArmError, TooLittleBudget
from tasks.arms.reading import Unreadable
from tasks.clients.exceptions import (
    ClientDisabled,
    ClientHasTokens,
    CredentialsAmbiguous,
    CredentialsRefused,
    IdempotencyKeyReused,
    IdempotencyKeyUnusable,
    IssuerKeysUnavailable,
    LimitReached,
    RateLimited,
    Refused,
    ScopeMissing,
    TooManyPending,
)
from tasks.clients.scopes import Scope
from tasks.clients.tokens.issuer import FetchFailed
from tasks.clients.tokens.key_set import NoKeySet
from tasks.exceptions import (
    ClaimLost,
    DecisionTaken,
    InvalidTransition,
    PriorityNotChanged,
    SubmissionBlocked,
)
from tasks.execution.claiming.claims import PlaceLost
from tasks.models import Task
from tasks.models.execution.arm import TooManyArms
from tasks.states import Priority, Status

TASK_ID = uuid.uuid4()
# Exceptions that never reach a view, with the module that turns them into something else.
CAUGHT = {
    CallFailed: "safety.reflex_client.guarded makes it a NoVerdict",
    TextTooLong: "tasks.api.serializers makes it a fault of the body",
    DecisionTaken: "the console says who was faster",
    ClaimLost: "tasks.services answers with the first answer",
    Invalid: "tasks.arms.declared and the form of the console make it a fault of a field",
    InvalidArms: "orchestrator_site.checks makes it a fault of a variable",
    NoKeySet: "tasks.clients.tokens.issuer makes it a FetchFailed",
    FetchFailed: "tasks.clients.tokens.key_ring logs it, and makes it a IssuerKeysUnavailable",
    TooManyArms: "the form of the console and the command `work` say so",
    # Only workers call arms.
    ArmError: "tasks.execution.following makes it a conclusion",
    TooLittleBudget: "tasks.execution.claiming.claims lets the task fail",
    Unreadable: "tasks.arms makes it an ArmError",
    PlaceLost: "tasks.execution.claiming.claims begins again",
    Interrupted: "safety.outbound makes it a CallFailed",
}
ANSWERS = {
    NoVerdict("connection failed"): (503, "safety_unavailable"),
    NotAsked("circuit open"): (503, "safety_unavailable"),
    # The gate turns this one into a refusal; elsewhere it counts as having no verdict.
    TooManyFindings("too many findings"): (503, "safety_unavailable"),
    SubmissionBlocked(frozenset({Kind.PII})): (403, None),
    InvalidTransition(TASK_ID, Status.CANCELLED): (409, "conflict"),
    PriorityNotChanged(TASK_ID, Priority.HIGH): (409, "conflict"),
    Task.DoesNotExist(): (404, "not_found"),
    BodyRefused(LENGTH_REQUIRED): (411, "validation"),
    CredentialsAmbiguous(): (400, "validation"),
    CredentialsRefused("unknown"): (401, "unauthenticated"),
    IssuerKeysUnavailable(7): (503, "issuer_unavailable"),
    ScopeMissing(Scope.READ): (403, "forbidden"),
    LimitReached(1): (429, "rate_limited"),
    RateLimited(1): (429, "rate_limited"),
    TooManyPending(1): (429, "rate_limited"),
    IdempotencyKeyUnusable("malformed"): (400, "validation"),
    IdempotencyKeyReused(): (422, "conflict"),
    ClientDisabled("web"): (409, "conflict"),
    ClientHasTokens("token:web"): (409, "conflict"),
}


def modules() -> Iterator[str]:
    for package in (safety, tasks):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            # The bundled Reflex Layer and the bundled arm run in other processes.
            if (
                not module.name.startswith(("safety.reflex_layer", "tasks.arms.bundled"))
                and "migrations" not in module.name
            ):
                yield module.name


def exceptions() -> set[type[Exception]]:
    return {
        value
        for module in map(importlib.import_module, modules())
        for _, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, Exception)
        and value.__module__.startswith(("safety.", "tasks."))
        # Django adds both exceptions to every model; views only query tasks by id.
        and not issubclass(value, ObjectDoesNotExist | MultipleObjectsReturned)
    }


def test_each_of_our_exceptions_has_a_response() -> None:
    answered = set(map(type, ANSWERS))
    without = {
        error.__qualname__
        for error in exceptions()
        if error not in answered
        # Only its subclasses are raised.
        and error is not Refused
        and not issubclass(error, (*CAUGHT, APIException))
    }
    assert without == set()


@pytest.mark.parametrize("error", ANSWERS, ids=lambda error: type(error).__qualname__)
def test_the_response_has_the_status_and_error_type_of_its_exception(
    error: Exception, rf: RequestFactory
) -> None:
    problem = problem_of(error)

    assert problem is not None
    response = to_response(rf.get("/tasks/1"), problem)
    counted_as = error_type_of(response)
    assert (response.status_code, counted_as) == ANSWERS[error]
    assert counted_as is None or counted_as in ERROR_TYPES


def test_a_forbidden_transition_names_the_wanted_status() -> None:
    problem = problem_of(InvalidTransition(TASK_ID, Status.CANCELLED))

    assert problem is not None
    assert problem.detail == "The task has another status by now: it cannot become cancelled."


def test_a_client_is_told_when_the_keys_of_an_issuer_may_be_there() -> None:
    problem = problem_of(IssuerKeysUnavailable(7))
    assert problem is not None
    assert problem.headers == {"Retry-After": "7"}
