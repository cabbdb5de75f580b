"""Every page in light and dark: no errors in the browser, and no faults in accessibility."""

import psycopg
import pytest

from tests.browser.console import Console

PAGES = {
    "dashboard": "/admin/",
    "tasks": "/admin/tasks/task/",
    "tasks of a filter": "/admin/tasks/task/?status__exact=failed&from=2020-01-01&arm=coder&q=the",
    "no tasks": "/admin/tasks/task/?q=abracadabra",
    "a task that failed": "/admin/tasks/task/{failed}/change/",
    "a task that completed": "/admin/tasks/task/{completed}/change/",
    "actions": "/admin/tasks/action/",
    "an action to confirm": "/admin/tasks/action/{action}/change/",
    "a paused action": "/admin/tasks/action/{paused}/change/",
    "receipts": "/admin/safety/receipt/",
    "a receipt": "/admin/safety/receipt/{blocked}/change/",
    "dry run": "/admin/dry-run",
    "clients": "/admin/tasks/client/",
    "a new client": "/admin/tasks/client/add/",
    "a client": "/admin/tasks/client/{client}/change/",
    "a disabled client": "/admin/tasks/client/{disabled}/change/",
    "sign-ins": "/admin/tasks/signin/",
    "a sign-in": "/admin/tasks/signin/{sign_in}/change/",
    "staff": "/admin/auth/",
    "users": "/admin/auth/user/",
    "a new user": "/admin/auth/user/add/",
    "a user": "/admin/auth/user/1/change/",
    "a user's history": "/admin/auth/user/1/history/",
    "a user to delete": "/admin/auth/user/1/delete/",
    "groups": "/admin/auth/group/",
    "a group": "/admin/auth/group/1/change/",
    "password": "/admin/password_change/",
    "no such page": "/admin/nothing-here/",
    "no such page of the API": "/nowhere",
    "browsable root": "/",
    "browsable submit": "/submit",
    "browsable task": "/tasks/{completed}",
    "documentation": "/docs",
}
# A client with a key in each state, tasks, and two changes. A client cannot be deleted again.
CLIENT = """
WITH client AS (
    INSERT INTO clients (id, name, rate_limit, disabled_at)
    VALUES (gen_random_uuid(), '{name} ' || gen_random_uuid(), 60, {disabled_at}) RETURNING id
), keys AS (
    INSERT INTO api_keys (id, client_id, prefix, digest, scopes, expires_at, revoked_at)
    SELECT gen_random_uuid(), id, left(md5(random()::text), 8), sha256(random()::text::bytea),
        '{{task:submit,task:read}}', expires_at::timestamptz, revoked_at::timestamptz
    FROM client, (VALUES (NULL, NULL), ('2040-01-01', NULL), ('2020-01-01', NULL),
        (NULL, '2020-01-01')) AS states (expires_at, revoked_at)
), events AS (
    INSERT INTO client_events (client_id, kind, actor, reason, data)
    SELECT id, kind, 'admin', 'as agreed', '{{}}' FROM client, (VALUES ('added'), ('disabled'))
        AS kinds (kind)
)
SELECT id FROM client
"""


@pytest.fixture
def ids(database: "psycopg.Connection[tuple[object]]") -> dict[str, object]:
    """The ids in the paths of PAGES."""
    found = {}
    for name, statement in {
        "failed": "SELECT id FROM tasks WHERE status = 'failed' LIMIT 1",
        "completed": "SELECT id FROM tasks WHERE status = 'completed' LIMIT 1",
        "blocked": "SELECT id FROM receipts WHERE verdict = 'blocked' LIMIT 1",
        "action": "INSERT INTO task_actions (id, verb, actor, reason, task_ids, position, changed)"
        " SELECT gen_random_uuid(), 'cancel', 'admin', '', array_agg(id), 0, 0 FROM tasks"
        " RETURNING id",
        "small": "INSERT INTO task_actions (id, verb, actor, reason, task_ids, position, changed)"
        " SELECT gen_random_uuid(),"
        " CASE priority WHEN 'low' THEN 'priority_high' ELSE 'priority_low' END,"
        " 'admin', '', ARRAY[id, gen_random_uuid()], 0, 0"
        " FROM tasks WHERE status = 'pending' LIMIT 1 RETURNING id",
        "paused": "INSERT INTO task_actions"
        " (id, verb, actor, reason, task_ids, position, changed, confirmed_at)"
        " SELECT gen_random_uuid(), 'requeue', 'admin', 'why', array_agg(id), 1, 0, now()"
        " FROM tasks RETURNING id",
        "client": CLIENT.format(name="reporting", disabled_at="NULL"),
        "disabled": CLIENT.format(name="former", disabled_at="now()"),
        "sign_in": "INSERT INTO sign_ins (account, outcome, client_address, request_id)"
        " VALUES ('', 'failed', '192.0.2.1', 'ab12') RETURNING id",
    }.items():
        [(found[name],)] = database.execute(statement).fetchall()
    return found


def violations(console: Console, axe: str) -> list[str]:
    """Return the serious and critical violations that axe finds, with their elements."""
    # Over the debugging protocol: the Content-Security-Policy forbids a script in the page.
    console.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
    found = console.driver.execute_async_script(
        "axe.run(document, {resultTypes: ['violations'], preload: false}).then(arguments[0])"
    )
    return [
        f"{fault['impact']} {fault['id']}: {node['html'][:200]}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_pages_have_no_serious_violation(
    colours: str, console: Console, axe: str, ids: dict[str, object]
) -> None:
    console.in_colours(colours)
    console.open("/admin/login/")
    console.driver.delete_all_cookies()
    console.open("/admin/login/")
    found = {"login": violations(console, axe)}
    console.sign_in("admin")
    for name, path in PAGES.items():
        console.open(path.format(**ids))
        if name == "documentation":
            console.wait_for(".swagger-ui .opblock")
        found[name] = [*console.complaints(), *violations(console, axe)]
    console.open(f"/admin/tasks/action/{ids['small']}/change/")
    console.labelled("Reason:").send_keys("as agreed")
    console.press("Confirm")
    console.wait_for(".messagelist", "Show the tasks")
    found["a report"] = violations(console, axe)
    console.driver.execute_script("document.getElementById('logout-form')?.submit()")
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_narrow_screen_does_not_scroll_sideways(console: Console, ids: dict[str, object]) -> None:
    console.of_width(400, 800)
    console.sign_in("admin")
    wide = {}
    for name in (
        "dashboard",
        "a task that failed",
        "an action to confirm",
        "dry run",
        "clients",
        "a client",
        "sign-ins",
    ):
        console.open(PAGES[name].format(**ids))
        wide[name] = console.driver.execute_script("return document.documentElement.scrollWidth")
    assert {name: width for name, width in wide.items() if width > 400} == {}


def test_narrow_screen_shows_every_label_and_reason(
    console: Console, ids: dict[str, object]
) -> None:
    console.of_width(390, 900)
    console.sign_in("admin")
    outside = (
        "return [...document.querySelectorAll(arguments[0])].filter(e => e.offsetParent)"
        ".filter(e => { const r = e.getBoundingClientRect();"
        " return r.left < 0 || r.right > innerWidth }).map(e => e.innerText)"
    )
    narrow = "return [...document.querySelectorAll(arguments[0])].map(e => e.offsetWidth)"
    for name in ("tasks", "receipts", "a task that failed", "dashboard", "a paused action"):
        console.open(PAGES[name].format(**ids))
        console.driver.execute_script(
            "document.querySelectorAll('details').forEach(e => { e.open = true })"
        )
        assert console.all(".label"), name
        assert console.driver.execute_script(outside, ".label, .whole, .field-short_goal") == []
        widths = console.driver.execute_script(
            narrow, ".stacks .whole, .field-short_goal, .field-verdict_and_why"
        )
        assert widths, name
        assert min(width for width in widths if width) > 200, name


def test_filters_on_a_narrow_screen_are_above_the_rows_and_closed(
    console: Console,
) -> None:
    console.of_width(390, 900)
    console.sign_in("admin")
    console.open("/admin/tasks/task/?status__exact=failed")
    filters, rows = console.find("#changelist-filter"), console.find("#result_list")
    assert filters.rect["y"] + filters.rect["height"] <= rows.rect["y"]
    opened = [
        detail.get_attribute("data-filter-title")
        for detail in console.all("#changelist-filter details[open]")
    ]
    assert opened == ["status"]
    # On a wide screen, all filters are open.
    console.of_width(1366, 900)
    console.open("/admin/tasks/task/")
    assert console.all("#changelist-filter details:not([open])") == []


def test_list_of_receipts_fits_into_1366_pixels(console: Console) -> None:
    console.of_width(1366, 900)
    console.sign_in("admin")
    console.open("/admin/safety/receipt/")
    results = console.find("#changelist-form .results")
    assert results.get_property("scrollWidth") == results.get_property("clientWidth")
