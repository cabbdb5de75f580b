"""Every exception of our own that reaches a view has an answer."""

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
from orchestrator_site.problems import ERROR_TYPES, error_type_of, problem_of, to_response
from safety.document import TextTooLong
from safety.exceptions import NotAsked, NoVerdict, TooManyFindings
from safety.findings import Kind
from safety.outbound.exceptions import CallFailed
from tasks.exceptions import InvalidTransition, PriorityNotChanged, SubmissionBlocked
from tasks.models import Task
from tasks.states import Priority, Status

TASK_ID = uuid.uuid4()
# Each is answered by a function that catches it, and says there with what.
CAUGHT = {
    CallFailed: "safety.reflex_client.guarded makes it a NoVerdict",
    TextTooLong: "tasks.api.serializers makes it a fault of the body",
}
ANSWERS = {
    NoVerdict("connection failed"): (503, "safety_unavailable"),
    NotAsked("circuit open"): (503, "safety_unavailable"),
    # The gate refuses such a text; the exception itself means no verdict.
    TooManyFindings("too many findings"): (503, "safety_unavailable"),
    SubmissionBlocked(frozenset({Kind.PII})): (403, None),
    InvalidTransition(TASK_ID, Status.CANCELLED): (409, "conflict"),
    PriorityNotChanged(TASK_ID, Priority.HIGH): (409, "conflict"),
    Task.DoesNotExist(): (404, "not_found"),
}


def modules() -> Iterator[str]:
    for package in (safety, tasks):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            # The bundled Reflex Layer runs in a process of its own.
            if (
                not module.name.startswith("safety.reflex_layer")
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
        # Django makes one of each for every model; views ask for tasks only.
        and not issubclass(value, ObjectDoesNotExist | MultipleObjectsReturned)
    }


def test_each_exception_of_ours_has_an_answer() -> None:
    answered = set(map(type, ANSWERS))
    without = {
        error.__qualname__
        for error in exceptions()
        if error not in answered and not issubclass(error, (*CAUGHT, APIException))
    }
    assert without == set()


@pytest.mark.parametrize("error", ANSWERS, ids=lambda error: type(error).__qualname__)
def test_the_answer_says_how_it_counts(error: Exception, rf: RequestFactory) -> None:
    problem = problem_of(error)

    assert problem is not None
    response = to_response(rf.get("/tasks/1"), problem)
    counted_as = error_type_of(response)
    assert (response.status_code, counted_as) == ANSWERS[error]
    assert counted_as is None or counted_as in ERROR_TYPES


def test_a_transition_that_is_not_allowed_says_which() -> None:
    problem = problem_of(InvalidTransition(TASK_ID, Status.CANCELLED))

    assert problem is not None
    assert problem.detail == "The task's status does not allow it to become cancelled."
