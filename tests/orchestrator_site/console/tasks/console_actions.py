"""Requests and responses of staff who act on tasks in the console."""

from typing import Any

from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client
from django.utils.html import strip_tags

from tasks import bulk
from tasks.models import Action, Task, Worker

TASKS = "/admin/tasks/task/"
ACTIONS = "/admin/tasks/action/"


def console_of(user: User, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


def choose(
    client: Client, *tasks: Task, verb: str = "cancel", query: str = "", **post: Any
) -> HttpResponse:
    """Post the form of the list with ticked rows and a chosen action."""
    ticked = [str(task.pk) for task in tasks]
    return client.post(
        TASKS + query, {"action": verb, "_selected_action": ticked, "index": "0"} | post
    )


def chosen_page(client: Client, *tasks: Task, **how: Any) -> str:
    """Return the URL of the page on which staff confirm the action."""
    response = choose(client, *tasks, **how)
    assert response.status_code == 302
    assert response["Location"].startswith(ACTIONS)
    return response["Location"]


def confirm(
    client: Client, page: str, reason: str = "the client asked for it", **post: Any
) -> HttpResponse:
    return client.post(page, {"step": "confirm", "reason": reason} | post)


def work() -> None:
    """Carry all confirmed actions out, as workers do."""
    for action in Action.objects.confirmed().filter(ended_at=None):
        bulk.proceed(action.pk, seconds=60)


def work_a_step() -> None:
    """Take one step of each confirmed action, as workers do."""
    for action in Action.objects.confirmed().filter(ended_at=None):
        bulk.take_step(action.pk)


def start_worker(**fields: Any) -> Worker:
    worker: Worker = Worker.objects.create(
        **{"machine": "alpha", "process": 4711, "version": "1.0", "concurrency": 8} | fields
    )
    return worker


def content(response: HttpResponse) -> str:
    assert response.status_code == 200
    return response.content.decode()


def said(response: HttpResponse) -> list[str]:
    return [strip_tags(str(message)) for message in get_messages(response.wsgi_request)]


def statuses() -> list[str]:
    return sorted(Task.objects.values_list("status", flat=True))
