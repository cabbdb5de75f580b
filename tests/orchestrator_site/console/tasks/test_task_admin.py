"""The console's pages of tasks."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tasks.models import Task, TaskResult
from tests.factories import TaskFactory, TaskResultFactory
from tests.staff import staff

pytestmark = pytest.mark.django_db

TASKS = "/admin/tasks/task/"
BANNER = "tasks are accepted unscreened"


@pytest.fixture
def viewer() -> User:
    """A member of staff who may only view tasks with their content."""
    return staff("view_task", "view_task_content")


@pytest.fixture
def console(client: Client, viewer: User) -> Client:
    client.force_login(viewer)
    return client


def listed(client: Client, query: str = "") -> set[str]:
    """Return the ids of the tasks that the list shows."""
    response = client.get(TASKS + query)
    assert response.status_code == 200
    return set(re.findall(rf'href="{TASKS}([0-9a-f-]{{36}})/change/', response.content.decode()))


def test_staff_log_in_with_their_password(client: Client, viewer: User) -> None:
    viewer.set_password("a-good-password")
    viewer.save()
    response = client.post(
        f"/admin/login/?next={TASKS}", {"username": viewer.username, "password": "a-good-password"}
    )
    assert (response.status_code, response["Location"]) == (302, TASKS)
    assert client.get(TASKS).status_code == 200


def test_wrong_password_is_refused(client: Client, viewer: User) -> None:
    viewer.set_password("a-good-password")
    viewer.save()
    client.post(f"/admin/login/?next={TASKS}", {"username": viewer.username, "password": "wrong"})
    assert client.get(TASKS)["Location"] == f"/admin/login/?next={TASKS}"


def test_anonymous_are_sent_to_the_login(client: Client) -> None:
    task = TaskFactory()
    for path in ("/admin/", TASKS, f"{TASKS}{task.pk}/change/", f"{TASKS}{task.pk}/history/"):
        assert client.get(path)["Location"] == f"/admin/login/?next={path}"


def test_users_who_are_not_staff_are_sent_to_the_login(client: Client) -> None:
    client.force_login(User.objects.create_user("customer"))
    assert client.get(TASKS)["Location"] == f"/admin/login/?next={TASKS}"


def test_staff_without_the_permission_see_no_tasks(client: Client) -> None:
    task = TaskFactory()
    client.force_login(staff())
    assert client.get(TASKS).status_code == 403
    assert client.get(f"{TASKS}{task.pk}/change/").status_code == 403


def test_list_shows_the_tasks_newest_first(console: Client) -> None:
    now = datetime.now(UTC)
    for hours, goal in ((2, "the older one"), (1, "the newer one")):
        TaskFactory(goal=goal, created_at=now - timedelta(hours=hours))
    content = console.get(TASKS).content.decode()
    assert 0 < content.index("the newer one") < content.index("the older one")


def test_list_shortens_a_long_goal(console: Client) -> None:
    TaskFactory(goal="x" * 81)
    content = console.get(TASKS).content.decode()
    assert f"{'x' * 79}…" in content
    assert "x" * 80 not in content


@pytest.mark.parametrize(
    "query",
    [
        "?status__exact=failed",
        "?priority__exact=critical",
        "?verdict__exact=flagged",
        "?from=2025-11-15&to=2025-11-15",
        "?from=0001-01-01&to=9999-12-31&status__exact=failed",
        "?status__exact=failed&verdict__exact=flagged",
    ],
)
def test_filter_finds_matching_rows(query: str, console: Client) -> None:
    wanted = TaskFactory(
        failed=True,
        priority="critical",
        verdict="flagged",
        created_at=datetime(2025, 11, 15, 12, tzinfo=UTC),
    )
    TaskFactory()
    assert listed(console, query) == {str(wanted.pk)}


@pytest.mark.parametrize(
    "title",
    ["status", "priority", "verdict", "what it waits for", "failure", "day", "result", "arm"],
)
def test_filter_is_offered(title: str, console: Client) -> None:
    TaskFactory()
    assert f"By {title}" in console.get(TASKS).content.decode()


def test_search_finds_a_task_by_its_id(console: Client) -> None:
    wanted, _ = TaskFactory.create_batch(2)
    assert listed(console, f"?q={wanted.pk}") == {str(wanted.pk)}


@pytest.mark.parametrize("words", ["sentiment", "REVIEWS+analyze", '"of+user"', "100%25"])
def test_search_finds_a_task_by_words_of_its_goal(words: str, console: Client) -> None:
    wanted = TaskFactory(goal="Analyze sentiment of user reviews, 100% of them")
    TaskFactory(goal="Something else with user of")
    assert listed(console, f"?q={words}") == {str(wanted.pk)}


# Not even a superuser, who has every permission, may change tasks.
@pytest.mark.parametrize(
    "path",
    ["add/", "{task}/change/", "{task}/delete/"],
)
def test_superuser_cannot_change_tasks(path: str, admin_client: Client) -> None:
    result = TaskResultFactory()
    before = (list(Task.objects.values()), list(TaskResult.objects.values()))
    forms = {"results-TOTAL_FORMS": "0", "results-INITIAL_FORMS": "0"}
    response = admin_client.post(
        TASKS + path.format(task=result.task.pk),
        forms | {"goal": "changed", "status": "cancelled", "post": "yes"},
    )
    assert response.status_code == 403
    assert (list(Task.objects.values()), list(TaskResult.objects.values())) == before


def test_superuser_cannot_delete_tasks_from_the_list(admin_client: Client) -> None:
    task = TaskFactory()
    admin_client.post(
        TASKS, {"action": "delete_selected", "_selected_action": str(task.pk), "post": "yes"}
    )
    assert Task.objects.filter(pk=task.pk).exists()


def test_superuser_is_not_offered_to_add_a_task(admin_client: Client) -> None:
    assert f'href="{TASKS}add/' not in admin_client.get(TASKS).content.decode()
    assert admin_client.get(f"{TASKS}add/").status_code == 403


def test_pages_escape_text_of_clients(console: Client) -> None:
    script = "<script>alert(1)</script>"
    result = TaskResultFactory(
        task__goal=script,
        task__context={script: script},
        task__constraints=[script],
        result_data={script: script},
    )
    for path in (TASKS, f"{TASKS}?q=alert", f"{TASKS}{result.task.pk}/change/"):
        content = console.get(path).content.decode()
        assert "&lt;script&gt;alert(1)" in content
        assert "<script>alert" not in content


@pytest.mark.parametrize("query", ["?q=%00", "?q=%FF", "?q=%25_\\", f"?q={'x+' * 100}"])
def test_unusual_search_never_fails(query: str, console: Client) -> None:
    TaskFactory()
    assert console.get(TASKS + query).status_code == 200


# PostgreSQL refuses some of these values, which would end the transaction of the test.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "query",
    [
        "status__exact=%00",
        "status__exact=%00&status__exact=pending",
        "from=%00",
        "from=yesterday",
        "to=2025-13-45",
        "arm=%00",
        "result=maybe",
    ],
)
def test_invalid_filter_is_ignored(query: str, console: Client) -> None:
    response = console.get(f"{TASKS}?{query}")
    assert (response.status_code, response["Location"]) == (302, f"{TASKS}?e=1")
    # Staff must notice this: "select all" now means every row.
    said = "An invalid filter was ignored: the list shows all rows."
    assert said in console.get(response["Location"]).content.decode()
    assert console.get(f"{TASKS}?e=1&{query}")["Location"] == f"{TASKS}?e=1"


@pytest.mark.parametrize(
    "query",
    ["status__exact=nope", "p=-5", "p=99999999999999999999", "p=x", "o=999", "o=-1.x", "all=1"],
)
def test_invalid_list_parameter_is_answered(query: str, console: Client) -> None:
    TaskFactory()
    assert console.get(f"{TASKS}?{query}").status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "_to_field=goal",
        "results__result_data__x=1",
        "status__regex=(",
        "goal__contains=%00",
        "context__%00=1",
        "created_at__year__gt=99999999999",
        "id__exact=42",
        "max_cost_usd=NaN",
        "no_such_field=1",
    ],
)
def test_filter_that_is_not_allowed_is_refused(query: str, console: Client) -> None:
    assert console.get(f"{TASKS}?{query}").status_code == 400


@pytest.mark.parametrize("task_id", ["42", "_00", "00000000-0000-0000-0000-000000000000"])
def test_unknown_task_leads_back_to_the_list(task_id: str, console: Client) -> None:
    response = console.get(f"{TASKS}{task_id}/change/")
    assert (response.status_code, response["Location"]) == (302, TASKS)
    assert f"There is no task {task_id}." in console.get(TASKS).content.decode()


@pytest.mark.parametrize("path", ["/admin/", TASKS])
def test_banner_says_that_screening_is_off(path: str, console: Client, settings: Any) -> None:
    settings.ENABLE_REFLEX_INTEGRATION = False
    assert BANNER in console.get(path).content.decode()


@pytest.mark.parametrize("path", ["/admin/", TASKS])
def test_no_banner_while_screening_is_on(path: str, console: Client) -> None:
    assert BANNER not in console.get(path).content.decode()


def test_list_takes_the_same_queries_for_many_tasks(
    console: Client, django_assert_max_num_queries: Any
) -> None:
    TaskFactory.create_batch(30)
    # Session, user, permissions (2), clients of the filter, count, the page itself, the pause.
    with django_assert_max_num_queries(8):
        console.get(TASKS)
