"""What each role may open and do in the console."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import get_resolver, resolve
from django.utils import timezone

from safety.models import Receipt
from tasks.bulk import choose
from tasks.execution.failures import FailureCode
from tasks.models import Action, Arm, Event, Pause, SignIn, Task
from tasks.models import action as actions
from tasks.models.action import CANCEL, REQUEUE, VERBS, Verb
from tests.factories import ClientFactory, TaskFactory, TaskResultFactory
from tests.orchestrator_site.console.execution.carried_out import an_arm, carried_out, make_arm
from tests.orchestrator_site.console.execution.plans import waiting_for_a_decision
from tests.orchestrator_site.console.tasks.console_actions import start_worker, work
from tests.staff import member_of, staff
from tests.tasks.actions import waiting

pytestmark = pytest.mark.django_db

VIEWER, OPERATOR, OFFICER, ADMIN = "Viewer", "Operator", "Safety officer", "Admin"
ALL = {VIEWER, OPERATOR, OFFICER, ADMIN}

# The roles that may open each page; the others get 403.
PAGES = {
    "/admin/": ALL,
    "/admin/password_change/": ALL,
    "/admin/tasks/": ALL,
    "/admin/tasks/task/": ALL,
    "/admin/tasks/task/{id}/change/": ALL,
    "/admin/tasks/action/": {OPERATOR, ADMIN},
    "/admin/tasks/action/{action}/change/": {OPERATOR, ADMIN},
    "/admin/safety/": {OPERATOR, OFFICER, ADMIN},
    "/admin/safety/receipt/": {OPERATOR, OFFICER, ADMIN},
    "/admin/safety/receipt/{receipt}/change/": {OPERATOR, OFFICER, ADMIN},
    "/admin/dry-run": {OFFICER, ADMIN},
    "/admin/auth/": {ADMIN},
    "/admin/auth/user/": {ADMIN},
    "/admin/auth/user/add/": {ADMIN},
    "/admin/auth/user/{user}/change/": {ADMIN},
    "/admin/auth/user/{user}/password/": {ADMIN},
    "/admin/auth/user/{user}/delete/": {ADMIN},
    "/admin/auth/group/": {ADMIN},
    "/admin/auth/group/add/": {ADMIN},
    "/admin/auth/group/{group}/change/": {ADMIN},
    "/admin/auth/group/{group}/delete/": {ADMIN},
    "/admin/tasks/task/{id}/history/": ALL,
    "/admin/tasks/action/{action}/history/": {OPERATOR, ADMIN},
    "/admin/safety/receipt/{receipt}/history/": {OPERATOR, OFFICER, ADMIN},
    "/admin/auth/user/{user}/history/": {ADMIN},
    "/admin/auth/group/{group}/history/": {ADMIN},
    "/admin/tasks/client/": {ADMIN},
    "/admin/tasks/client/add/": {ADMIN},
    "/admin/tasks/client/{client}/change/": {ADMIN},
    "/admin/tasks/client/{client}/history/": {ADMIN},
    "/admin/tasks/arm/": {OPERATOR, ADMIN},
    "/admin/tasks/arm/add/": {ADMIN},
    "/admin/tasks/arm/{arm}/change/": {OPERATOR, ADMIN},
    "/admin/tasks/arm/{arm}/history/": {OPERATOR, ADMIN},
    "/admin/tasks/worker/": {OPERATOR, ADMIN},
    "/admin/tasks/worker/{worker}/change/": {OPERATOR, ADMIN},
    "/admin/tasks/worker/{worker}/history/": {OPERATOR, ADMIN},
    "/admin/pause": {OPERATOR, ADMIN},
    "/admin/decisions": {OPERATOR, ADMIN},
    "/admin/decisions/{decision}": {OPERATOR, ADMIN},
    "/admin/tasks/signin/": {ADMIN},
    "/admin/tasks/signin/{sign_in}/change/": {ADMIN},
    "/admin/tasks/signin/{sign_in}/history/": {ADMIN},
    # Staff cannot add or delete these.
    "/admin/tasks/task/add/": set(),
    "/admin/tasks/task/{id}/delete/": set(),
    "/admin/tasks/action/add/": set(),
    "/admin/tasks/action/{action}/delete/": set(),
    "/admin/safety/receipt/add/": set(),
    "/admin/safety/receipt/{receipt}/delete/": set(),
    "/admin/tasks/client/{client}/delete/": set(),
    "/admin/tasks/arm/{arm}/delete/": set(),
    "/admin/tasks/worker/add/": set(),
    "/admin/tasks/worker/{worker}/delete/": set(),
    "/admin/tasks/signin/add/": set(),
    "/admin/tasks/signin/{sign_in}/delete/": set(),
}
# The roles for which a page contains the text.
CONTENTS = {
    ("/admin/tasks/task/", "its goal"): {OPERATOR, ADMIN},
    ("/admin/tasks/task/?q=goal", "its goal"): {OPERATOR, ADMIN},
    ("/admin/tasks/task/{id}/change/", "its goal"): {OPERATOR, ADMIN},
    ("/admin/tasks/task/{id}/change/", "its context"): {OPERATOR, ADMIN},
    ("/admin/tasks/task/{id}/change/", "its result"): {OPERATOR, ADMIN},
    ("/admin/tasks/task/{id}/change/", "See the receipt"): {OPERATOR, OFFICER, ADMIN},
    ("/admin/tasks/task/{id}/change/", "DataExfiltration"): {OPERATOR, OFFICER, ADMIN},
    ("/admin/tasks/task/{waiting}/change/", "Cancel…"): {OPERATOR, ADMIN},
    ("/admin/tasks/task/", 'value="cancel"'): {OPERATOR, ADMIN},
    ("/admin/", "/admin/safety/receipt/"): {OPERATOR, OFFICER, ADMIN},
    ("/admin/", "/admin/dry-run"): {OFFICER, ADMIN},
    ("/admin/", "/admin/auth/"): {ADMIN},
    ("/admin/tasks/", "/admin/tasks/task/"): ALL,
    ("/admin/tasks/", "/admin/tasks/action/"): {OPERATOR, ADMIN},
    ("/admin/auth/", "/admin/auth/group/"): {ADMIN},
    ("/admin/", "/admin/tasks/action/"): {OPERATOR, ADMIN},
    # All who see a task see whose it is; only Admins see the client.
    ("/admin/tasks/task/", "its client"): ALL,
    ("/admin/tasks/task/{id}/change/", "its client"): ALL,
    ("/admin/tasks/task/{id}/change/", "/admin/tasks/client/"): {ADMIN},
    ("/admin/safety/receipt/", "its client"): {OPERATOR, OFFICER, ADMIN},
    ("/admin/", "/admin/tasks/client/"): {ADMIN},
    ("/admin/", "/admin/tasks/signin/"): {ADMIN},
    ("/admin/", "/admin/tasks/arm/"): {OPERATOR, ADMIN},
    ("/admin/", "/admin/tasks/worker/"): {OPERATOR, ADMIN},
    ("/admin/", "/admin/pause"): {OPERATOR, ADMIN},
    ("/admin/", "/admin/decisions"): {OPERATOR, ADMIN},
    ("/admin/decisions/{decision}", "its undecided criterion"): {OPERATOR, ADMIN},
    ("/admin/tasks/task/{undecided}/change/", "its undecided criterion"): {OPERATOR, ADMIN},
    ("/admin/tasks/task/{undecided}/change/", "the answer of step 1"): {OPERATOR, ADMIN},
    ("/admin/tasks/task/{undecided}/change/", "1 of 2 met, 1 undecided"): ALL,
    ("/admin/tasks/task/{undecided}/change/", "/admin/decisions/"): {OPERATOR, ADMIN},
    ("/admin/", "Dollars today"): {OPERATOR, ADMIN},
    ("/admin/tasks/arm/{arm}/change/", 'value="disable"'): {ADMIN},
    ("/admin/tasks/arm/{arm}/change/", 'value="change"'): {ADMIN},
    ("/admin/tasks/arm/", "/admin/tasks/arm/add/"): {ADMIN},
    # What went wrong is no text of a client.
    ("/admin/tasks/task/{failed}/change/", "The time of the task is over."): ALL,
    ("/admin/tasks/task/{failed}/change/", "/admin/tasks/arm/helper/"): {OPERATOR, ADMIN},
    ("/admin/tasks/task/{failed}/change/", "See their receipts"): {OPERATOR, OFFICER, ADMIN},
}


@pytest.fixture
def ids() -> dict[str, object]:
    owner = ClientFactory(name="its client")
    task = TaskFactory(
        goal="its goal",
        context={"its context": 1},
        verdict="flagged",
        client=owner,
        completed=True,
    )
    TaskResultFactory(task=task, result_data="its result")
    receipt = Receipt.objects.create(
        subject_id=task.pk, verdict="flagged", types=["DataExfiltration"], client_id=owner.pk
    )
    action = choose([task.pk], CANCEL, actor="somebody")
    action.confirm("by mistake")
    criteria = ["its criterion", "its undecided criterion"]
    decision = waiting_for_a_decision(TaskFactory(processing=True, acceptance_criteria=criteria))
    return {
        "id": task.pk,
        "receipt": receipt.pk,
        "waiting": TaskFactory().pk,
        "action": action.pk,
        "user": staff().pk,
        "group": Group.objects.get(name=VIEWER).pk,
        "client": owner.pk,
        "arm": an_arm().pk,
        "decision": decision.pk,
        "undecided": decision.task_id,
        "worker": start_worker().pk,
        "failed": carried_out(FailureCode.TIMED_OUT).pk,
        "sign_in": SignIn.objects.create(outcome="failed").pk,
    }


@pytest.mark.parametrize("role", sorted(ALL))
def test_role_opens_only_its_pages(role: str, ids: dict[str, object], client: Client) -> None:
    client.force_login(member_of(role))
    opened = {path: client.get(path.format(**ids)).status_code for path in PAGES}
    # If the role may see nothing of an application, Django answers 404.
    refused = {path: 404 if re.fullmatch("/admin/[a-z]+/", path) else 403 for path in PAGES}
    assert opened == {
        path: 200 if role in roles else refused[path] for path, roles in PAGES.items()
    }


@pytest.mark.parametrize("role", sorted(ALL))
def test_role_sees_only_its_content(role: str, ids: dict[str, object], client: Client) -> None:
    client.force_login(member_of(role))
    shown = {
        (path, part): part in client.get(path.format(**ids)).content.decode()
        for path, part in CONTENTS
    }
    assert shown == {held: role in roles for held, roles in CONTENTS.items()}


@pytest.mark.parametrize("role", sorted(ALL))
@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_only_some_roles_may_act(verb: Verb, role: str, client: Client) -> None:
    client.force_login(member_of(role))
    match verb:
        case actions.RELEASE:
            task = waiting(waits_for="release").task
        case actions.RETRY_NOW:
            task = waiting(wake_at=timezone.now()).task
        case _:
            task = TaskFactory(failed=verb == REQUEUE)
    chosen = client.post("/admin/tasks/task/", {"action": verb.name, "_selected_action": task.pk})
    page = chosen.get("Location", f"/admin/tasks/action/{uuid4()}/change/")
    confirmed = client.post(page, {"step": "confirm", "reason": "by hand"})
    work()
    may_act = role in {OPERATOR, ADMIN}
    assert (chosen.status_code, confirmed.status_code) == ((302, 302) if may_act else (403, 403))
    # The task already has medium priority.
    is_changed = may_act and verb != VERBS["priority_medium"]
    assert Event.objects.filter(task=task).exists() == is_changed
    assert Action.objects.exists() == may_act


@pytest.mark.parametrize("role", [VIEWER, OFFICER])
@pytest.mark.parametrize("step", ["confirm", "stop"])
def test_role_that_may_not_act_cannot_change_an_action(
    step: str, role: str, ids: dict[str, object], client: Client
) -> None:
    client.force_login(member_of(role))
    before = Action.objects.values().get()
    path = f"/admin/tasks/action/{ids['action']}/change/"
    assert client.post(path, {"step": step, "reason": "tampered"}).status_code == 403
    assert Action.objects.values().get() == before


@pytest.mark.parametrize("role", sorted(ALL))
@pytest.mark.parametrize("step", ["enable", "disable", "change"])
def test_only_admins_change_arms(step: str, role: str, client: Client) -> None:
    client.force_login(member_of(role))
    arm = make_arm()
    before = Arm.objects.values().get()
    status = client.post(f"/admin/tasks/arm/{arm.pk}/change/", {"step": step}).status_code
    # The form that changes an arm is shown again, since it is empty.
    assert status == ({"change": 200}.get(step, 302) if role == ADMIN else 403)
    if role != ADMIN:
        assert Arm.objects.values().get() == before


@pytest.mark.parametrize("role", sorted(ALL))
def test_operators_and_admins_pause_all_calls(role: str, client: Client) -> None:
    client.force_login(member_of(role))
    response = client.post("/admin/pause", {"step": "begin", "reason": "costs explode"})
    may_pause = role in {OPERATOR, ADMIN}
    assert response.status_code == (302 if may_pause else 403)
    assert Pause.objects.exists() == may_pause


def names_of_pages(resolver: Any) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns"):
            yield from names_of_pages(pattern)
        elif pattern.name:
            yield pattern.name


def test_every_page_of_the_console_is_listed_here(ids: dict[str, object]) -> None:
    walked = {resolve(path.format(**ids)).url_name for path in PAGES}
    [console] = [
        pattern for pattern in get_resolver().url_patterns if "admin/" in str(pattern.pattern)
    ]
    assert {*names_of_pages(console)} - walked == {
        # Open to everybody, and without any data of ours.
        "login",
        "logout",
        "jsi18n",
        "password_change_done",
        # Disabled.
        "autocomplete",
        # None of our models uses it.
        "view_on_site",
    }


@pytest.mark.parametrize("role", [VIEWER, OFFICER])
def test_no_filter_in_a_url_reveals_hidden_fields(role: str, client: Client) -> None:
    """Otherwise a user could guess a text letter by letter from the listed rows."""
    client.force_login(member_of(role))
    TaskFactory(goal="zanzibar", context={"key": "zanzibar"}, constraints=["zanzibar"])
    for field in Task._meta.get_fields():
        for lookup in ("", "__startswith", "__contains", "__isnull", "__0", "__key__startswith"):
            if (field.name, lookup) == ("client", ""):
                # A filter that the list offers to all.
                continue
            response = client.get("/admin/tasks/task/", {f"{field.name}{lookup}": "z"})
            assert response.status_code == 400, f"{field.name}{lookup}"


def test_autocomplete_does_not_exist(admin_client: Client) -> None:
    query = {"app_label": "tasks", "model_name": "taskresult", "field_name": "task", "term": "\0"}
    assert admin_client.get("/admin/autocomplete/", query).status_code == 404


@pytest.mark.parametrize("query", ["is_active__exact=%00", "groups__id__exact=x", "q=%00"])
def test_invalid_filter_of_staff_is_ignored(query: str, admin_client: Client) -> None:
    response = admin_client.get(f"/admin/auth/user/?{query}", follow=True)
    assert response.status_code == 200


def test_there_are_no_unused_permissions() -> None:
    ours = Permission.objects.filter(content_type__app_label__in=["tasks", "safety"])
    assert {permission.codename for permission in ours} == {
        "view_task",
        "view_task_content",
        "operate_task",
        "decide_task",
        "view_arm",
        "manage_arms",
        "view_worker",
        "view_receipt",
        "dry_run",
        "manage_client",
        "view_signin",
    }


def test_staff_without_a_role_open_only_the_dashboard(
    ids: dict[str, object], client: Client
) -> None:
    client.force_login(staff())
    for path in PAGES:
        expected = 200 if path in ("/admin/", "/admin/password_change/") else None
        status = client.get(path.format(**ids)).status_code
        assert status == expected or (expected is None and status in (403, 404)), path


def test_page_of_a_user_explains_the_roles(client: Client) -> None:
    client.force_login(member_of(ADMIN))
    content = client.get(f"/admin/auth/user/{staff().pk}/change/").content.decode()
    assert "need the staff status" in content
    assert all(f"{role}: " in content for role in Group.objects.values_list("name", flat=True))
