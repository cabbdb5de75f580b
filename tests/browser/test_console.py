"""The console in a browser: the daily work of staff, by mouse and by keyboard."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tasks.bulk import SECONDS_PER_REQUEST
from tests.browser.console import PASSWORD, WAIT_SECONDS, Console
from tests.postgresql import until_requests_wait

Database = psycopg.Connection[tuple[object, ...]]

TASKS = "/admin/tasks/task/"
ATTACK = '<script>window.attacked = 1</script><img src="/x" onerror="window.attacked = 1">'
SECTIONS = {
    "viewer": ["Dashboard", "Tasks"],
    "operator": ["Dashboard", "Tasks", "Actions", "Receipts"],
    "safety-officer": ["Dashboard", "Tasks", "Receipts", "Dry run"],
    "admin": [
        "Dashboard",
        "Tasks",
        "Actions",
        "Receipts",
        "Dry run",
        "Clients",
        "Sign-ins",
        "Staff",
    ],
}


def focused_name(console: Console) -> str:
    return console.driver.switch_to.active_element.accessible_name


def type_keys(console: Console, *keys: str) -> None:
    ActionChains(console.driver).send_keys(*keys).perform()


def tab_to(console: Console, name: str) -> None:
    """Press Tab until the element with this accessible name has the focus."""
    for _ in range(100):
        type_keys(console, Keys.TAB)
        if focused_name(console).casefold() == name.casefold():
            return
    raise AssertionError(f"the Tab key never reaches {name}")


def add_tasks(database: Database, count: int, goal: str, status: str = "pending") -> list[object]:
    rows = database.execute(
        "INSERT INTO tasks (goal, status) SELECT %s, %s FROM generate_series(1, %s) RETURNING id",
        [goal, status, count],
    )
    return [task_id for (task_id,) in rows]


def events(database: Database, reason: str) -> object:
    counted = database.execute("SELECT count(*) FROM task_events WHERE reason = %s", [reason])
    [(count,)] = counted.fetchall()
    return count


def one_step_each(database: Database, act: Callable[[], None], requests: int = 1) -> None:
    """Lock the tasks while `act` sends requests, so that each request has time for one step."""
    with ThreadPoolExecutor(1) as browser:
        with database.transaction():
            database.execute("SELECT FROM tasks FOR UPDATE")
            acted = browser.submit(act)
            until_requests_wait(database, requests, SECONDS_PER_REQUEST)
        acted.result(WAIT_SECONDS)


def test_staff_log_in_by_keyboard_and_out_again(console: Console) -> None:
    console.open("/admin/login/")
    console.driver.delete_all_cookies()
    console.open("/admin/login/")
    # The first field has the focus.
    assert focused_name(console) == "Username:"
    type_keys(console, "operator", Keys.TAB, "not the password", Keys.ENTER)
    console.wait_for(".errornote", "Please enter the correct username and password")
    console.labelled("Password:").send_keys(PASSWORD, Keys.ENTER)
    console.wait_for("#user-tools", "OPERATOR")
    tab_to(console, "Log out")
    type_keys(console, Keys.ENTER)
    console.wait_for("h1", "Logged out")
    console.open("/admin/")
    assert console.labelled("Username:")


def test_keyboard_skips_to_the_content_and_reaches_a_task(console: Console) -> None:
    console.sign_in("operator")
    console.open(TASKS)
    type_keys(console, Keys.TAB)
    assert focused_name(console) == "Skip to main content"
    type_keys(console, Keys.ENTER)
    tab_to(console, "Search")
    type_keys(console, "nordhafen", Keys.ENTER)
    console.wait_for(".paginator", "1 task")
    [link] = console.all(".field-short_id a, th a[href*='/change/']")
    tab_to(console, link.text)
    type_keys(console, Keys.ENTER)
    console.wait_for("h2", "Timeline")


def test_dashboard_figures_link_to_their_lists(console: Console, database: Database) -> None:
    [(failed,)] = database.execute("SELECT count(*) FROM tasks WHERE status = 'failed'").fetchall()
    console.sign_in("admin")
    console.wait_for(".glance", "Version")
    card = console.wait_for(".statuses a", "Failed")
    assert card.text.startswith(f"{failed}\n")
    card.click()
    console.wait_for(".paginator", f"{failed} tasks")
    console.open("/admin/")
    console.find("details summary").click()
    assert console.find("details[open] table").is_displayed()


def test_filters_combine(console: Console, database: Database) -> None:
    [(wanted,)] = database.execute(
        "SELECT count(*) FROM tasks WHERE status = 'completed' AND priority = 'high'"
        " AND assigned_arm = 'coder'"
    ).fetchall()
    console.sign_in("operator")
    console.open(TASKS)
    console.link("Completed").click()
    console.link("High").click()
    console.labelled("Name").send_keys("coder", Keys.ENTER)
    console.wait_for(".paginator", f"{wanted} task")
    assert wanted


def test_operator_finds_the_failed_task_and_requeues_it(console: Console) -> None:
    console.sign_in("operator")
    console.link("Tasks").click()
    console.labelled("Search").send_keys("Nordhafen", Keys.ENTER)
    console.wait_for(".paginator", "1 task")
    assert ["Failed" in console.text, "Critical" in console.text] == [True, True]
    console.find("#result_list tbody th a").click()
    console.wait_for(".failure", "connection to the ledger refused")
    console.press("Requeue…")
    console.wait_for(".outcome", "1 task will be requeued.")
    console.labelled("Reason:").send_keys("The ledger is back")
    console.press("Confirm")
    console.wait_for(".messagelist", "1 task requeued.")
    what, who, why = [cell.text for cell in console.all(".task-page tbody tr:last-child td")[1:]]
    assert ["Failed" in what, "Pending" in what] == [True, True]
    assert (who, why) == ("operator", "The ledger is back")


def test_action_on_all_results_of_a_search_runs_to_the_end(
    console: Console, database: Database
) -> None:
    word = f"w{uuid4().hex}"
    add_tasks(database, 3_000, f"Sort the {word}")
    console.sign_in("operator")
    console.open(f"{TASKS}?q={word}")
    Select(console.labelled("Action:")).select_by_visible_text("Cancel")
    console.find("#action-toggle").click()
    console.driver.find_element(By.PARTIAL_LINK_TEXT, "Select all").click()
    console.press("Go")
    console.wait_for(".outcome", "3,000 tasks will be cancelled.")
    console.labelled("Reason:").send_keys("They were sent twice")
    one_step_each(database, lambda: console.press("Confirm"))
    console.wait_for(".outcome", "3,000 tasks cancelled.")
    assert events(database, "They were sent twice") == 3_000


def test_paused_action_continues_and_stops(console: Console, database: Database) -> None:
    ids = add_tasks(database, 3_000, "Rest")
    [(action,)] = database.execute(
        "INSERT INTO task_actions"
        " (id, verb, actor, reason, task_ids, position, changed, confirmed_at)"
        " VALUES (gen_random_uuid(), 'cancel', 'operator', 'Rest', %s::uuid[], 0, 0, now())"
        " RETURNING id",
        [ids],
    ).fetchall()
    console.sign_in("operator")
    console.open(f"/admin/tasks/action/{action}/change/")
    console.wait_for(".outcome", "0 of 3,000 tasks processed")
    assert console.labelled("Tasks processed").get_attribute("value") == "0"

    def continue_and_stop() -> None:
        console.press("Continue")
        console.wait_for("#running", "runs while this page is open")
        console.press("Stop")

    one_step_each(database, continue_and_stop, requests=2)
    console.wait_for(".outcome", "Stopped: 1,000 of 3,000 tasks processed, 1,000 cancelled.")
    assert events(database, "Rest") == 1_000


def test_text_from_clients_is_not_run_as_html(console: Console, database: Database) -> None:
    [task_id] = add_tasks(database, 1, ATTACK)
    database.execute(
        "UPDATE tasks SET constraints = jsonb_build_array(%(attack)s::text),"
        " context = jsonb_build_object(%(attack)s::text, %(attack)s::text),"
        " assigned_arm = %(attack)s WHERE id = %(id)s",
        {"attack": ATTACK, "id": task_id},
    )
    database.execute(
        "INSERT INTO task_results (task_id, result_data, confidence)"
        " VALUES (%s, jsonb_build_object('found', %s::text), 0.5)",
        [task_id, ATTACK],
    )
    console.sign_in("admin")
    for path in (
        f"{TASKS}?q={task_id}",
        f"{TASKS}{task_id}/change/",
        f"{TASKS}?arm={ATTACK}&q={ATTACK}",
        "/admin/",
        f"/tasks/{task_id}",
    ):
        console.open(path)
        if path != "/admin/":
            assert "window.attacked = 1" in console.driver.page_source
        assert console.driver.execute_script("return window.attacked ?? null") is None


@pytest.mark.parametrize("role", SECTIONS)
def test_role_sees_only_its_sections(role: str, console: Console) -> None:
    console.sign_in(role)
    assert [link.text for link in console.all(".sections a")] == SECTIONS[role]
    for name in SECTIONS[role]:
        console.link(name).click()
        assert console.status == 200
        assert console.find(".sections [aria-current]").text == name
    if role != "admin":
        console.open("/admin/auth/user/")
        assert (console.status, console.find("p").text) == (403, "Your account may not do this.")


def test_button_changes_the_colour_scheme(console: Console) -> None:
    console.sign_in("operator")
    background = "return getComputedStyle(document.body).backgroundColor"
    seen = set()
    for _ in range(3):
        seen.add(console.driver.execute_script(background))
        console.find("#user-tools .theme-toggle").click()
    assert len(seen) == 2
