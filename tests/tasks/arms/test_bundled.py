"""The bundled arm, in its own process as in production."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from vader import polarity_scores

from safety.outbound.transport import Deadline
from tasks.arms.bundled.sentiment import sentiment_of
from tasks.arms.bundled.texts import MAX_TEXTS
from tasks.arms.description import Arm, Health, Protocol
from tasks.arms.exceptions import Failed
from tasks.arms.octollm import OctollmAdapter
from tasks.arms.work import Answer, Usage
from tests.environment import ROOT
from tests.tasks.arms.calls import call, failure, work
from tests.tasks.arms.serving import bundled_arm

REVIEWS = [
    "I love this phone, the battery lasts for days.",
    "Terrible. It broke after two days and support ignored me.",
    "The parcel came on Monday.",
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with bundled_arm(tmp_path_factory.mktemp("arm")) as (url, _):
        yield url


@pytest.fixture
def adapter(url: str) -> OctollmAdapter:
    return OctollmAdapter(Arm(name="bundled", protocol=Protocol.OCTOLLM, url=url))


def answer_to(adapter: OctollmAdapter, **fields: Any) -> Answer:
    return call(adapter, body=adapter.request(work(**fields)).body)


def error_about(url: str, **contract: Any) -> str:
    contract = {"task_id": "task-1", "goal": "Find the sentiment", "context": {}} | contract
    answer = requests.post(f"{url}/execute", json={"task_contract": contract}, timeout=10).json()
    assert (answer["success"], answer["result"]) == (False, None)
    assert (answer["error"]["category"], answer["error"]["retryable"]) == ("validation", False)
    message: str = answer["error"]["message"]
    return message


# Sentiment


def test_the_task_of_the_specification_with_reviews_has_an_answer(adapter: OctollmAdapter) -> None:
    context = {"user_id": "user123", "source": "web_app", "reviews": REVIEWS}

    answer = answer_to(
        adapter,
        goal="Analyze sentiment of user reviews",
        constraints=["No PII in output", "Complete within 5 minutes"],
        context=context,
        acceptance_criteria=["Sentiment score between -1 and 1"],
    )

    assert answer == Answer(
        result={
            "sentiment": -0.0112,
            "texts": [
                {"path": "reviews[0]", "sentiment": 0.6369},
                {"path": "reviews[1]", "sentiment": -0.6705},
                {"path": "reviews[2]", "sentiment": 0.0},
            ],
            "positive": 1,
            "neutral": 1,
            "negative": 1,
        },
        confidence=0.6,
        usage=Usage(0, answer.usage.cost_usd),
    )
    assert answer.usage.cost_usd == 0


def test_the_same_request_has_the_same_answer(url: str) -> None:
    body = {"task_contract": {"task_id": "task-1", "goal": "Rate the sentiment", "context": {}}}
    body["task_contract"]["context"] = {"reviews": REVIEWS}

    answers = {requests.post(f"{url}/execute", json=body, timeout=10).content for _ in range(3)}

    assert len(answers) == 1


@pytest.mark.parametrize(
    "goal",
    [
        "analyse the SENTIMENT of these",
        "What is the overall sentiment?",
        "Please find out which sentiments the reviews have",
        "Sentiment analysis of tweets",
        "Be quick. Please find\tthe sentiment",
        "sentiment score",
    ],
)
def test_a_goal_asks_for_sentiment_in_many_ways(adapter: OctollmAdapter, goal: str) -> None:
    assert answer_to(adapter, goal=goal, context={"reviews": REVIEWS}).result["positive"] == 1


@pytest.mark.parametrize(
    ("context", "paths"),
    [
        ({"reviews": ["Good.", "Bad."], "user_id": "user 1 2 3"}, ["reviews[0]", "reviews[1]"]),
        ({"reviews": [{"id": "r-1", "text": "Good."}]}, ["reviews[0].text"]),
        ({"text": "Good.", "source": "web_app"}, ["text"]),
        ({"shops": {"1": ["Good."]}}, ["shops.1[0]"]),
        ({"shop": {"Review": "Good.", "name": "The very best shop"}}, ["shop.Review"]),
        # Without a list or a field of texts, several words are a text.
        ({"first": "I like this a lot", "user": "user123"}, ["first"]),
        ({"reviews": ["", " ", None, 5, "Good."]}, ["reviews[4]"]),
        ({"n" * 100: ["Good."]}, ["n" * 40 + "[0]"]),
    ],
)
def test_texts_are_found_in_the_context(
    adapter: OctollmAdapter, context: dict[str, Any], paths: list[str]
) -> None:
    result = answer_to(adapter, goal="Find the sentiment", context=context).result

    assert [text["path"] for text in result["texts"]] == paths


def test_the_answer_has_no_text_of_the_reviews(adapter: OctollmAdapter) -> None:
    result = answer_to(adapter, goal="Find the sentiment", context={"reviews": REVIEWS}).result

    assert not any(word in json.dumps(result) for word in ("phone", "Terrible", "parcel"))


@pytest.mark.parametrize("text", [*REVIEWS, "Not bad at all!", "😍", "日本語", "!" * 2_000])
def test_a_short_text_has_the_score_of_the_library(text: str) -> None:
    assert sentiment_of(text) == polarity_scores(text)["compound"]


@pytest.mark.parametrize("text", ["!" * 500_000, "great awful " * 40_000, ":) " * 150_000])
def test_a_long_text_takes_time_in_proportion_to_its_length(text: str) -> None:
    began = time.process_time()

    assert -1 <= sentiment_of(text) <= 1
    # Scored as a whole, the first would take a minute.
    assert time.process_time() - began < 5


# Anything else


def test_another_goal_gets_help(adapter: OctollmAdapter) -> None:
    error = failure(adapter, body=adapter.request(work(goal="Write a poem")).body)

    assert (type(error), error.detail, error.is_retryable) == (Failed, "validation error", False)


@pytest.mark.parametrize(
    "goal",
    ["Write a poem", "Delete it. Sentiment aside, be quick.", "sentimental journey", ""],
)
def test_the_help_says_what_the_arm_can_do_and_how_to_connect_a_model(url: str, goal: str) -> None:
    message = error_about(url, goal=goal, context={"reviews": REVIEWS})

    assert "sentiment of texts" in message
    assert "ORCHESTRATOR_ARMS=model=openai+http://localhost:11434/v1?model=" in message


def test_without_texts_the_error_shows_where_to_put_them(url: str) -> None:
    context = {"user_id": "user123", "source": "web_app"}

    assert '{"reviews": [' in error_about(url, context=context)


def test_too_many_texts_are_refused(url: str) -> None:
    message = error_about(url, context={"reviews": ["Good."] * (MAX_TEXTS + 1)})

    assert str(MAX_TEXTS) in message


def test_a_context_that_repeats_long_names_takes_little_time(url: str) -> None:
    context: Any = {"text": "Good."}
    for _ in range(500):
        context = {"n" * 1_000: context}

    assert "There is no text" in error_about(url, context=context)


INVALID = {
    "no-json": (b"{", "The body must be valid JSON."),
    "not-utf-8": (b'"\xff"', "The body must be valid JSON."),
    "too-deep": (b"[" * 200_000, "The body must be valid JSON."),
    "a-list": (b"[]", "task_contract must be an object."),
    "no-contract": (b"{}", "task_contract must be an object."),
    "no-goal": (
        b'{"task_contract": {"task_id": "task-1"}}',
        "task_contract.task_id and task_contract.goal must be strings.",
    ),
    "a-text-as-context": (
        b'{"task_contract": {"task_id": "t", "goal": "g", "context": "c"}}',
        "task_contract.context must be an object.",
    ),
}


@pytest.mark.parametrize(("body", "message"), INVALID.values(), ids=INVALID.keys())
def test_a_request_that_breaks_the_protocol_gets_400(url: str, body: bytes, message: str) -> None:
    answer = requests.post(f"{url}/execute", data=body, timeout=10)

    assert answer.status_code == 400
    assert answer.json() == {
        "error_code": "INVALID_REQUEST",
        "category": "validation",
        "message": message,
        "retryable": False,
        "retry_after_seconds": None,
        "details": {},
    }


def test_a_body_that_is_too_long_is_refused_unread(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"POST /execute HTTP/1.1\r\nHost: a\r\nContent-Length: 4194305\r\n\r\n")

        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/execute", 405),
        ("GET", "/plan", 405),
        ("GET", "/validate", 405),
        ("POST", "/health", 405),
        ("GET", "/", 404),
        ("POST", "/plans", 404),
    ],
)
def test_other_paths_and_methods_get_an_error_of_the_protocol(
    url: str, method: str, path: str, status: int
) -> None:
    answer = requests.request(method, url + path, data=b"{}", timeout=10)

    assert answer.status_code == status
    assert {"error_code", "category", "message", "retryable"} <= answer.json().keys()


# The process


def test_it_is_healthy_and_says_what_it_can_do(url: str, adapter: OctollmAdapter) -> None:
    assert adapter.check(deadline=Deadline(10)) is Health.HEALTHY
    assert requests.get(f"{url}/health", timeout=10).json() == {
        "status": "healthy",
        "version": "1.0.0",
    }
    assert requests.get(f"{url}/capabilities", timeout=10).json()["capabilities"] == [
        "execute",
        "plan",
        "validate",
    ]


def test_it_serves_calls_at_the_same_time(adapter: OctollmAdapter) -> None:
    results: list[Any] = []
    reviews = {"reviews": REVIEWS}

    def ask() -> None:
        results.append(answer_to(adapter, goal="Find the sentiment", context=reviews).result)

    threads = [threading.Thread(target=ask) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [result["sentiment"] for result in results] == [-0.0112] * 30


def test_sigterm_ends_it_after_the_requests_in_progress(tmp_path: Path) -> None:
    with bundled_arm(tmp_path) as (url, process):
        adapter = OctollmAdapter(Arm(name="bundled", protocol=Protocol.OCTOLLM, url=url))
        assert adapter.check(deadline=Deadline(30)) is Health.HEALTHY
        host, port = url.removeprefix("http://").split(":")
        body = adapter.request(work(context={"reviews": REVIEWS})).body
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            head = f"POST /execute HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body[:100])
            # Let a thread take the request.
            threading.Event().wait(0.3)
            process.send_signal(signal.SIGTERM)
            threading.Event().wait(0.3)
            connection.sendall(body[100:])
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        assert process.wait(20) == 0
    assert (tmp_path / "arm.log").read_text() == ""


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = subprocess.run(
            [sys.executable, "-m", "tasks.arms.bundled", "--port", str(port)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )

    assert finished.returncode == 1
    assert finished.stderr == (
        f"The bundled arm cannot listen on 127.0.0.1:{port}: Address already in use\n"
    )


def test_it_needs_neither_django_nor_the_database() -> None:
    script = (
        "import sys, tasks.arms.bundled.app;"
        "print({'django', 'psycopg', 'requests', 'safety'} & set(sys.modules))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert finished.stdout == "set()\n"
