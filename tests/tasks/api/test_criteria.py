"""The verdicts on the acceptance criteria, in `GET /tasks/{task_id}` and in lists."""

from typing import Any

import pytest
from django.test import Client as Browser

from tasks.clients.scopes import Scope
from tasks.execution.failures import FailureCode
from tasks.models import Client, Run, Task
from tests.factories import TaskFactory, TaskResultFactory
from tests.tasks.api.lists import get
from tests.tasks.clients.keys import bearer, key_of
from tests.tasks.lives import end, run_of

pytestmark = pytest.mark.django_db

CRITERIA = ["At most 200 words", "It is polite", "It names a date"]
NOT_CHECKED = [
    {
        "criterion": criterion,
        "verdict": "undecided",
        "by": None,
        "evidence": "Not checked yet.",
        "confidence": 0.5,
    }
    for criterion in CRITERIA
]
VERDICTS: list[dict[str, Any]] = [
    {"verdict": "met", "by": "rule", "evidence": "It has 93 words.", "confidence": 1.0},
    {"verdict": "not_met", "by": "arm", "evidence": "It calls him a fool.", "confidence": 0.9},
    {"verdict": "undecided", "by": "arm", "evidence": "", "confidence": 0.5},
]
BY_A_PERSON = {
    "verdict": "met",
    "by": "person",
    "evidence": "A person accepted the result.",
    "confidence": 1.0,
}


@pytest.fixture
def task(owner: Client) -> Task:
    task: Task = TaskFactory(client=owner, acceptance_criteria=CRITERIA)
    return task


def checked(run: Run, verdicts: Any = VERDICTS) -> None:
    run.verdicts = verdicts
    run.save()


def with_texts(verdicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"criterion": criterion, **found}
        for criterion, found in zip(CRITERIA, verdicts, strict=True)
    ]


def shown(browser: Browser, key: str, task: Task) -> Any:
    return get(browser, key, f"/tasks/{task.pk}")["criteria"]


def test_a_task_without_criteria_has_an_empty_list(
    client: Browser, owner: Client, key: str
) -> None:
    task = TaskFactory(client=owner)
    end(run_of(task))
    assert shown(client, key, task) == []


def test_criteria_are_undecided_before_anybody_has_looked(
    client: Browser, key: str, task: Task
) -> None:
    assert shown(client, key, task) == NOT_CHECKED
    run_of(task)
    assert shown(client, key, task) == NOT_CHECKED


def test_each_criterion_has_its_verdict_in_its_order(client: Browser, key: str, task: Task) -> None:
    checked(run_of(task))
    assert shown(client, key, task) == with_texts(VERDICTS)


def test_a_person_may_have_decided(client: Browser, key: str, task: Task) -> None:
    verdicts = [*VERDICTS[:2], BY_A_PERSON]
    checked(run_of(task), verdicts)
    assert shown(client, key, task) == with_texts(verdicts)


def test_what_an_arm_is_still_asked_about_is_not_checked_yet(
    client: Browser, key: str, task: Task
) -> None:
    # As it is stored after rules have decided about the first one.
    asked = {"verdict": "undecided", "by": None, "evidence": "", "confidence": 0.5}
    checked(run_of(task), [VERDICTS[0], asked, asked])
    assert shown(client, key, task) == [with_texts(VERDICTS)[0], *NOT_CHECKED[1:]]


def test_what_no_arm_can_judge_says_so(client: Browser, key: str, task: Task) -> None:
    nobody = {"verdict": "undecided", "by": None, "evidence": "Nobody can.", "confidence": 0.5}
    checked(run_of(task), [VERDICTS[0], nobody, nobody])
    assert shown(client, key, task) == with_texts([VERDICTS[0], nobody, nobody])


def test_a_completed_task_may_have_undecided_criteria(
    client: Browser, key: str, task: Task
) -> None:
    run = run_of(task)
    checked(run)
    end(run)
    TaskResultFactory(task=task)
    body = get(client, key, f"/tasks/{task.pk}")
    assert (body["status"], body["failure"]) == ("completed", None)
    assert body["criteria"][2]["verdict"] == "undecided"


@pytest.mark.parametrize("code", ["criteria_not_met", "decision_expired", "arm_failed"])
def test_a_failed_task_shows_its_result_and_its_verdicts(
    code: str, client: Browser, key: str, task: Task
) -> None:
    run = run_of(task)
    checked(run)
    end(run, FailureCode(code))
    TaskResultFactory(task=task, result_data={"1": "what there is"})
    body = get(client, key, f"/tasks/{task.pk}")
    assert (body["status"], body["failure"]["code"]) == ("failed", code)
    assert body["result"]["result_data"] == {"1": "what there is"}
    assert body["criteria"] == with_texts(VERDICTS)


def test_the_newest_run_says_what_was_found(client: Browser, key: str, task: Task) -> None:
    run = run_of(task)
    checked(run)
    end(run, FailureCode.CRITERIA_NOT_MET)
    task.refresh_from_db()
    task.requeue()
    # Its result is still the newest one.
    assert shown(client, key, task) == with_texts(VERDICTS)
    run_of(task, number=2)
    assert shown(client, key, task) == NOT_CHECKED


def test_verdicts_of_other_tasks_are_not_shown(
    client: Browser, owner: Client, key: str, task: Task
) -> None:
    checked(run_of(TaskFactory(client=owner, acceptance_criteria=CRITERIA)))
    assert shown(client, key, task) == NOT_CHECKED


def test_the_answer_to_a_cancel_has_the_criteria(
    client: Browser, owner: Client, task: Task
) -> None:
    checked(run_of(task))
    key = key_of(owner, Scope.CANCEL)
    body = client.post(
        f"/tasks/{task.pk}/cancel", content_type="application/json", headers=bearer(key)
    ).json()
    assert (body["status"], body["criteria"]) == ("cancelled", with_texts(VERDICTS))


def test_lists_leave_out_criteria_and_results(client: Browser, key: str, task: Task) -> None:
    checked(run_of(task))
    [listed] = get(client, key)["results"]
    assert listed.keys() & {"criteria", "result"} == set()
    assert CRITERIA[0] not in str(listed)


@pytest.mark.parametrize("stored", [{}, "x", 7], ids=["object", "text", "number"])
def test_what_sql_stored_in_place_of_a_list_is_no_criterion(
    stored: Any, client: Browser, owner: Client, key: str
) -> None:
    task = TaskFactory(client=owner, acceptance_criteria=stored)
    assert shown(client, key, task) == []


def test_criteria_are_read_by_the_same_query(
    client: Browser, task: Task, django_assert_num_queries: Any
) -> None:
    checked(run_of(task))
    Task.objects.update(client=None)
    with django_assert_num_queries(1):
        assert client.get(f"/tasks/{task.pk}").json()["criteria"] == with_texts(VERDICTS)
