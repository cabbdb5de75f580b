"""Plans and decisions in a browser: where a text came from, and what staff make of a result."""

import psycopg
import pytest

from tests.browser.console import Console
from tests.browser.test_pages import PLAN

Database = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def task_id(database: Database) -> object:
    [(made,)] = database.execute(PLAN).fetchall()
    return made


def test_mark_leads_to_the_step_with_the_flagged_answer(console: Console, task_id: object) -> None:
    console.sign_in("operator")
    console.open(f"/admin/tasks/task/{task_id}/change/")
    [flagged, *_] = console.all(".suspect a")
    flagged.click()
    assert console.driver.current_url.endswith("#run-1-step-1")
    step = console.find(":target")
    assert "Flagged answer" in step.text
    assert '"a"' not in step.text
    console.find(":target summary").click()
    assert '"a"' in console.find(":target").text


def test_staff_decide_about_a_result(console: Console, task_id: object, database: Database) -> None:
    console.sign_in("operator")
    console.open(f"/admin/tasks/task/{task_id}/change/")
    console.link("Decide…").click()
    console.wait_for("h1", "Decide about task")
    console.labelled("What to do better:").send_keys("Say why")
    console.press("Accept")
    # Nothing was decided: the form is still there, with what was typed.
    console.wait_for(".errorlist", "Reject the result to have it repaired, or empty this.")
    console.labelled("Reason:").send_keys("it reads well")
    console.labelled("What to do better:").clear()
    console.press("Accept")
    console.wait_for(".messagelist", f"Accepted: task {str(task_id)[:8]} is completed.")
    console.link(str(task_id)[:8]).click()
    console.wait_for(".labels", "Completed")
    assert "A person accepted the result." in console.text
    rows = database.execute("SELECT actor, reason FROM task_events WHERE kind = 'decision'")
    assert rows.fetchall()[-1] == ("operator", "it reads well")


def test_result_and_criteria_stand_side_by_side_if_there_is_room(
    console: Console, task_id: object
) -> None:
    console.sign_in("operator")
    for width, is_beside in ((1280, True), (390, False)):
        console.of_width(width)
        console.open(f"/admin/tasks/task/{task_id}/change/")
        console.link("Decide…").click()
        console.wait_for("h1", "Decide about task")
        result, criteria = console.all(".side-by-side > section")
        assert (result.rect["y"] == criteria.rect["y"]) is is_beside
