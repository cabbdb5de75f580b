"""What a search term may mean, and the tasks that it finds."""

import uuid

import pytest

from safety import models as receipts
from safety.models import Receipt
from tasks.models import Task
from tasks.search import SearchTerm
from tests.factories import TaskFactory

ID = uuid.UUID("81665527-d11b-466c-aee6-129007eef358")


def found(text: str) -> set[uuid.UUID]:
    return set(Task.objects.matching(SearchTerm(text)).values_list("pk", flat=True))


@pytest.mark.parametrize(
    "text",
    [
        "81665527",
        "81665527-",
        "81665527-d11b-46",
        "81665527d11b466caee6129007eef358",
        "81665527-d11b-466c-aee6-129007eef358",
        "81665527-D11B-466C-AEE6-129007EEF358",
    ],
)
def test_id_range_holds_the_ids_that_begin_so(text: str) -> None:
    first, last = SearchTerm(text).id_range or (None, None)
    assert first
    assert last
    assert first <= ID <= last
    assert str(first)[:8] == str(last)[:8] == "81665527"


def test_range_of_a_full_id_is_that_id() -> None:
    assert SearchTerm(str(ID)).id_range == (ID, ID)


# Too short, no digit, too long, no term at all.
@pytest.mark.parametrize("text", ["8166552", "8166552g", "8" * 33, "81665527 d11b", ""])
def test_what_begins_no_id_has_no_range(text: str) -> None:
    assert SearchTerm(text).id_range is None


@pytest.mark.parametrize(
    ("text", "request_id"),
    [("a", "a"), ("a_B-9", "a_B-9"), ("a" * 64, "a" * 64), ("a" * 65, None), ("a b", None)],
)
def test_request_id_is_well_formed(text: str, request_id: str | None) -> None:
    assert SearchTerm(text).request_id == request_id


@pytest.mark.django_db
@pytest.mark.parametrize("text", [str(ID), ID.hex, "81665527", "81665527-d11b"])
def test_task_is_found_by_its_id_and_its_beginning(text: str) -> None:
    TaskFactory(pk=ID)
    TaskFactory(pk=uuid.UUID("81665528-d11b-466c-aee6-129007eef358"))
    assert found(text) == {ID}


@pytest.mark.django_db
def test_task_is_found_by_the_request_id_of_its_receipt() -> None:
    for request_id in ("request-1", "request-10"):
        task = TaskFactory()
        Receipt.objects.create(subject_id=task.pk, verdict="safe", request_id=request_id)
    assert found("request-10") == {task.pk}


@pytest.mark.django_db
def test_request_id_of_a_refusal_finds_no_task() -> None:
    TaskFactory()
    Receipt.objects.create(verdict="blocked", request_id="request-1")
    assert found("request-1") == set()


@pytest.mark.django_db
def test_request_id_of_many_finds_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "MAX_SAME_REQUEST_ID", 2)
    for task in TaskFactory.create_batch(3):
        Receipt.objects.create(subject_id=task.pk, verdict="safe", request_id="always-the-same")
    assert len(found("always-the-same")) == 2


@pytest.mark.django_db
def test_term_that_means_several_things_finds_them_all() -> None:
    by_id, by_request_id, by_goal, _ = (
        TaskFactory(pk=uuid.UUID("12345678-d11b-466c-aee6-129007eef358")),
        TaskFactory(),
        TaskFactory(goal="Look up order 12345678"),
        TaskFactory(),
    )
    Receipt.objects.create(subject_id=by_request_id.pk, verdict="safe", request_id="12345678")
    assert found("12345678") == {by_id.pk, by_request_id.pk, by_goal.pk}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text",
    [
        "analyze",
        "REVIEWS Analyze",
        '"of user reviews"',
        "sentiment -weather",
        "weather or sentiment",
        "sentiment</",
        "alert",
        "script",
        # Parts of what PostgreSQL takes for one word.
        "example",
        "etc",
        # Other languages than English.
        "größe",
        "отзывы",
        "ביקורות",
    ],
)
def test_task_is_found_by_words_of_its_goal(text: str) -> None:
    wanted = TaskFactory(
        goal="Analyze the sentiment of user reviews: Größe, отзывы, ביקורות "
        "<script>alert(1)</script> www.example.org /etc/reviews"
    )
    TaskFactory(goal="Something else with user and of")
    assert found(text) == {wanted.pk}


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["analyz", "weather", "sentiment weather", '"user sentiment"'])
def test_other_words_find_nothing(text: str) -> None:
    TaskFactory(goal="Analyze sentiment of user reviews")
    assert found(text) == set()


@pytest.mark.django_db
def test_task_is_found_by_its_goal_as_pasted() -> None:
    goal = " ".join(f"word{number}" for number in range(1_000))
    task = TaskFactory(goal=goal)
    TaskFactory(goal="word1 word2")
    assert found(goal) == {task.pk}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text",
    [
        "x" * 10_000,
        # It takes more bytes in lower case.
        "Ⱥ" * 10_000,
        # Cut in the middle of a character.
        "a" + "ß" * 10_000,
        "a " * 5_000,
        '"' * 10_001,
        "- " * 5_000,
        '-"" ' * 250,
        '-" ' * 250,
        "-" * 10_000,
        "or " * 3_000,
        "%",
        "\\",
        "'; DROP TABLE tasks; --",
        "& | ! ( ) : * <->",
        "\u202egnirts",
        "\ud800",
        "\x01\x7f",
    ],
)
def test_no_term_fails(text: str) -> None:
    TaskFactory(goal="Analyze sentiment of user reviews")
    assert found(text) == set()


@pytest.mark.django_db
def test_words_of_a_goal_follow_it() -> None:
    task = TaskFactory(goal="the old one")
    Task.objects.filter(pk=task.pk).update(goal="the new one")
    assert (found("old"), found("new")) == (set(), {task.pk})
