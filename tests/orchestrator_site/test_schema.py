"""The service's responses match `/schema`, for requests that schemathesis generates from it.

All checks of schemathesis are on. The one for deletion has nothing to check in this API. Requests
carry a key with all scopes; the check for authentication sends each also without it.
"""

from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error

from orchestrator_site.wsgi import application
from tasks.clients.scopes import Scope
from tests.factories import ClientFactory, TaskResultFactory
from tests.reflex_layer import Behaviour, ScriptedReflexLayer, answer, injection, pii, resets, says

# Requests commit their transactions, as in a running service.
pytestmark = pytest.mark.django_db(transaction=True)

MIN_EXAMPLES = 2_000
# What schemathesis itself accepts as answers to valid requests.
ACCEPTED = ("2xx", "401", "403", "404", "409", "5xx")
EXAMPLES = settings(
    # The tests must not fail on a slow machine.
    deadline=None,
    # All examples share a database and a Reflex Layer.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def schema(max_examples: int, **generation: Any) -> Any:
    """Load `/schema`, with at most `max_examples` examples for each of its operations.

    The examples are the same on each run, so that no test fails only now and then.
    """
    config = {
        "seed": 1,
        # A generated idempotency key may come again, with another body.
        "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "422"]}},
        "generation": {
            "deterministic": True,
            "database": "none",
            "max-examples": max_examples,
            # The service refuses texts with NUL, which JSON Schema cannot express simply.
            "allow-x00": False,
            # They would be no keys.
            "with-security-parameters": False,
            **generation,
        },
    }
    return schemathesis.openapi.from_wsgi(
        "/schema", application, config=schemathesis.Config.from_dict(config)
    )


ALL = schema(450)
GOOD_SUBMISSIONS = schema(200, mode="positive").include(path="/submit")
SOME_GOOD_SUBMISSIONS = schema(60, mode="positive").include(path="/submit")
READ = ALL["/tasks/{task_id}"]["GET"]
answered: Counter[str] = Counter()


def count(case: schemathesis.Case, response: Any) -> None:
    answered[f"{case.operation.label} {response.status_code}"] += 1


@pytest.fixture
def headers() -> dict[str, str]:
    """The headers of a client that may do everything."""
    return {"Authorization": f"Bearer {ClientFactory().make_key([*Scope])}"}


def read(task_id: str, headers: dict[str, str]) -> Any:
    case = READ.Case(path_parameters={"task_id": task_id})
    response = case.call_and_validate(headers=headers)
    count(case, response)
    return response.json()


# Without a parameter of its own, the test would have the same id for all operations.
@pytest.mark.parametrize("behaviour", [pytest.param(says(answer()), id="clean")])
@ALL.parametrize()
@EXAMPLES
def test_every_response_matches_the_schema(
    case: schemathesis.Case,
    behaviour: Behaviour,
    reflex_layer: ScriptedReflexLayer,
    headers: dict[str, str],
) -> None:
    reflex_layer.behaviour = behaviour
    # No generated text is a cursor of ours; DRF's `format` chooses a form of the answer, and gets
    # 404 for one that there is not.
    for name in ("cursor", "format"):
        (case.query or {}).pop(name, None)
    count(case, case.call_and_validate(headers=headers))


@GOOD_SUBMISSIONS.parametrize()
@EXAMPLES
def test_a_submitted_task_is_read_as_in_the_schema(
    case: schemathesis.Case, reflex_layer: ScriptedReflexLayer, headers: dict[str, str]
) -> None:
    case.headers.pop("Idempotency-Key", None)
    response = case.call_and_validate(headers=headers)
    assert response.status_code == 200
    count(case, response)
    if "task_id" in response.json():
        assert read(response.json()["task_id"], headers)["goal"] == case.body["goal"]


def test_a_task_with_a_result_matches_the_schema(headers: dict[str, str]) -> None:
    result = TaskResultFactory()
    assert read(str(result.task_id), headers)["result"]["confidence"] == result.confidence


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [
        pytest.param(says(pii()), 403, id="pii"),
        pytest.param(says(injection()), 403, id="injection"),
        pytest.param(says(answer(status="blocked")), 403, id="blocked"),
        pytest.param(says({}, status="500 No"), 503, id="broken"),
        pytest.param(says(b"<html>"), 503, id="nonsense"),
        pytest.param(resets, 503, id="reset"),
    ],
)
@SOME_GOOD_SUBMISSIONS.parametrize()
@EXAMPLES
def test_every_refusal_matches_the_schema(
    case: schemathesis.Case,
    behaviour: Behaviour,
    status: int,
    reflex_layer: ScriptedReflexLayer,
    headers: dict[str, str],
) -> None:
    reflex_layer.behaviour = behaviour
    case.headers.pop("Idempotency-Key", None)
    # A 503 is expected here.
    response = case.call_and_validate(headers=headers, excluded_checks=[not_a_server_error])
    # A dry run answers what a real submission would meet.
    is_dry_run = (case.query or {}).get("dry_run") == "true"
    assert response.status_code == (200 if is_dry_run and status == 403 else status)
    count(case, response)


def test_enough_examples_were_run() -> None:
    if len({label.rsplit(" ", 1)[0] for label in answered}) < len(list(ALL.get_all_operations())):
        pytest.skip("only a part of the run was asked for")
    assert answered.total() >= MIN_EXAMPLES, answered
