"""A client of the Orchestrator: submit a task, follow it, list tasks, cancel it.

It needs Python 3.11 and requests. Run all of it, or cell by cell in an editor that knows `# %%`:

    OCTOLLM_API_KEY=octollm_... python docs/example_client.py
"""

# %% The address of the service, and the key that `make run` or `manage.py create_key` printed

import os
import time
import uuid
from collections.abc import Iterator
from urllib.parse import urljoin

import requests

URL = os.environ.get("OCTOLLM_URL", "http://127.0.0.1:8000")
FINAL = ("completed", "failed", "cancelled")

session = requests.Session()
session.headers["Authorization"] = f"Bearer {os.environ['OCTOLLM_API_KEY']}"


# %% One request, repeated while the service asks for patience


def call(method: str, path: str, **options) -> dict:
    """Return the answer as JSON, or end with the service's own words.

    It tries again after 429, 503 and broken connections. That is safe for every request below: a
    GET changes nothing, a task may be cancelled twice, and a submission has an Idempotency-Key.
    """
    for tries_left in (4, 3, 2, 1, 0):
        try:
            # requests has no timeout of its own.
            answer = session.request(method, urljoin(URL, path), timeout=30, **options)
        except (requests.ConnectionError, requests.Timeout):
            if not tries_left:
                raise
            time.sleep(2)
            continue
        if answer.status_code not in (429, 503) or not tries_left:
            break
        time.sleep(float(answer.headers.get("Retry-After", 2)))
    if not answer.ok:
        raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text}")
    return answer.json()


def pages(path: str, **filters) -> Iterator[dict]:
    """Yield the rows of a list, page by page: `next` is the URL of the following page."""
    page = call("GET", path, params=filters)
    yield from page["results"]
    while page["next"]:
        page = call("GET", page["next"])
        yield from page["results"]


# %% Submit a task


def submit(task: dict) -> dict:
    # One key for one submission, however often it is sent: a repetition gets the first answer and
    # makes no second task. To be safe after a crash too, store the key before you submit.
    return call("POST", "/submit", json=task, headers={"Idempotency-Key": str(uuid.uuid4())})


task = submit(
    {
        "goal": "Analyze sentiment of user reviews",
        "context": {"reviews": ["Great value", "It broke at once"]},
        "acceptance_criteria": ["Sentiment score between -1 and 1"],
        "priority": "high",
    }
)
print(f"Submitted {task['task_id']}: it is {task['status']}.")


# %% Follow it until it ends


def follow(task_id: str, *, for_seconds: float) -> dict:
    """Print what happens to the task; return it when it has ended, or after `for_seconds`."""
    shown, give_up_at = 0, time.monotonic() + for_seconds
    while True:
        task = call("GET", f"/tasks/{task_id}")
        events = list(pages(f"/tasks/{task_id}/events"))
        for event in events[shown:]:
            entered = f": {event['to']}" if event["to"] else ""
            print(f"  {event['created_at']}  {event['kind']}{entered}, by {event['actor']}")
        shown = len(events)
        if task["status"] in FINAL or time.monotonic() > give_up_at:
            return task
        time.sleep(1)


task = follow(task["task_id"], for_seconds=3)


# %% List the client's own tasks, newest first

for listed in pages("/tasks", status=["pending", "processing"], limit=20):
    print(f"{listed['created_at']}  {listed['status']:10}  {listed['goal']}")


# %% Cancel it, unless it has ended by itself

if task["status"] not in FINAL:
    task = call("POST", f"/tasks/{task['task_id']}/cancel")
print(f"The task is {task['status']}. Its result: {task['result']}")


# %% What was found about each of its acceptance criteria

for one in task["criteria"]:
    print(f"  {one['verdict']:9}  {one['criterion']}: {one['evidence']}")
