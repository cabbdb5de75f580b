"""The console in a browser: the daily work of staff, by mouse and by keyboard."""

from uuid import uuid4

import psycopg
import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tests.browser.console import PASSWORD, Console

Database = psycopg.Connection[tuple[object, ...]]

TASKS = "/admin/tasks/task/"
ATTACK = '<script>window.attacked = 1</script><img src="/x" onerror="window.attacked = 1">'
SECTIONS = {
    "viewer": ["Dashboard", "Tasks"],
    "operator": ["Dashboard", "Tasks", "Decisions", "Actions", "Arms", "Workers", "Receipts"],
    "safety-officer": ["Dashboard", "Tasks", "Receipts", "Dry run"],
    "admin": [
        "Dashboard",
        "Tasks",
        "Decisions",
        "Actions",
        "Arms",
        "Workers",
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


def work(database: Database, action: object, *, position: int, is_ended: bool = False) -> None:
    """Write down the progress of an action, as a worker would that has changed all so far."""
    database.execute(
        "UPDATE task_actions SET position = %(position)s, changed = %(position)s,"
        " worked_at = now(), ended_at = CASE WHEN %(is_ended)s THEN now() END WHERE id = %(id)s",
        {"position": position, "is_ended": is_ended, "id": action},
    )


def confirmed_action(database: Database, reason: str) -> object:
    rows = database.execute("SELECT id FROM task_actions WHERE reason = %s", [reason])
    [(action,)] = rows.fetchall()
    return action


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


def test_operator_finds_the_failed_task_and_requeues_it(
    console: Console, database: Database
) -> None:
    console.sign_in("operator")
    console.link("Tasks").click()
    console.labelled("Search").send_keys("Nordhafen", Keys.ENTER)
    console.wait_for(".paginator", "1 task")
    assert ["Failed" in console.text, "Critical" in console.text] == [True, True]
    console.find("#result_list tbody th a").click()
    console.wait_for(".failure", "connection to the ledger refused")
    console.press("Requeue…")
    console.wait_for(".outcome", "will be requeued")
    # Only if the demonstration says that its outcome is unknown.
    for box in console.all("#id_includes_unknown"):
        box.click()
    console.labelled("Reason:").send_keys("The ledger is back")
    console.press("Confirm")
    console.wait_for(".outcome", "0 of 1 task processed")
    action = confirmed_action(database, "The ledger is back")
    work(database, action, position=1, is_ended=True)
    console.wait_for(".outcome", "1 task requeued.")
    console.link("Back to the task").click()
    console.wait_for("h2", "Timeline")


def test_page_follows_an_action_on_all_results_of_a_search(
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
    console.press("Confirm")
    console.wait_for(".outcome", "0 of 3,000 tasks processed")
    console.wait_for("#progress .errornote", "No worker is running")
    # The same page goes on: nothing loads it again.
    console.driver.execute_script("window.isTheSame = true")
    action = confirmed_action(database, "They were sent twice")
    for position in (1_000, 2_000):
        work(database, action, position=position)
        console.wait_for(".outcome", f"{position:,} of 3,000 tasks processed")
        assert console.labelled("Tasks processed").get_attribute("value") == str(position)
    work(database, action, position=3_000, is_ended=True)
    console.wait_for(".outcome", "3,000 tasks cancelled.")
    assert console.driver.execute_script("return window.isTheSame")
    assert console.all("#unfinished") == []


def test_action_can_be_stopped_while_its_page_follows_it(
    console: Console, database: Database
) -> None:
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
    work(database, action, position=1_000)
    console.wait_for(".outcome", "1,000 of 3,000 tasks processed")
    console.press("Stop")
    console.wait_for(".outcome", "Stopped: 1,000 of 3,000 tasks processed, 1,000 cancelled.")


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
