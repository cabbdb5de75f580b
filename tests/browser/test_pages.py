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
    "an unfinished action": "/admin/tasks/action/{unfinished}/change/",
    "a requeue of unknown outcomes": "/admin/tasks/action/{unknown}/change/",
    "a task that waits": "/admin/tasks/task/{waiting}/change/",
    "a run": "/admin/tasks/task/{run}/change/",
    "a plan": "/admin/tasks/task/{plan}/change/",
    "decisions": "/admin/decisions",
    "a decision": "/admin/decisions/{decision}",
    "tasks that wait": "/admin/tasks/task/?waits_for=release",
    "arms": "/admin/tasks/arm/",
    "a new arm": "/admin/tasks/arm/add/",
    "an arm": "/admin/tasks/arm/{arm}/change/",
    "workers": "/admin/tasks/worker/",
    "pause": "/admin/pause",
    "receipts": "/admin/safety/receipt/",
    "a receipt": "/admin/safety/receipt/{blocked}/change/",
    "dry run": "/admin/dry-run",
    "clients": "/admin/tasks/client/",
    "a new client": "/admin/tasks/client/add/",
    "a client": "/admin/tasks/client/{client}/change/",
    "a disabled client": "/admin/tasks/client/{disabled}/change/",
    "a client with tokens": "/admin/tasks/client/{tokens}/change/",
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
# A client as a token with a long subject makes it.
TOKENS = """
WITH client AS (
    INSERT INTO clients (id, name, issuer, subject, token_used_at)
    SELECT gen_random_uuid(), 'token:' || subject, 'https://id.example/realms/company', subject,
        now()
    FROM (SELECT repeat(md5(random()::text), 7)) AS made (subject) RETURNING id, issuer
), events AS (
    INSERT INTO client_events (client_id, kind, actor, reason, data)
    SELECT id, 'added', '', '', jsonb_build_object('issuer', issuer) FROM client
)
SELECT id FROM client
"""
# A misconfigured arm, which its page says, and a worker.
ARM = """
WITH worker AS (
    INSERT INTO workers (id, machine, process, version, concurrency)
    VALUES (gen_random_uuid(), 'alpha', 4711, '1.0', 8)
)
INSERT INTO arms (name, protocol, url, capabilities, room, timeout_seconds, is_idempotent, tier,
    usd_per_million_input, usd_per_million_output, max_answer_tokens, refused_parameters, health)
VALUES ('a' || left(md5(random()::text), 8), 'octollm', 'http://coder:8003', '{execute}', 8, 60,
    false, 3, 0, 0, 4096, '{}', 'misconfigured')
RETURNING name
"""
WAITING = """
WITH task AS (
    INSERT INTO tasks (goal) VALUES ('Wait') RETURNING id
), run AS (
    INSERT INTO runs (task_id, number) SELECT id, 1 FROM task RETURNING id, task_id
)
INSERT INTO steps (id, run_id, task_id, capability, rank, waits_for, parked_at)
SELECT gen_random_uuid(), id, task_id, 'execute', 0, 'release', now() FROM run
RETURNING task_id
"""
# A run with a budget, a call and an attempt of a failed task without runs.
RUN = """
WITH task AS (
    INSERT INTO tasks (goal, status) VALUES ('Fail', 'failed') RETURNING id
), run AS (
    INSERT INTO runs (task_id, number, started_at, ends_at, ended_at, failure_code, failure_detail)
    SELECT id, 1, now(), now(), now(), 'outcome_unknown', 'Its answer was lost.' FROM task
    RETURNING id, task_id
), budget AS (
    INSERT INTO budgets (run_id, max_tokens, max_cost_usd, spent_tokens, spent_usd, is_estimated)
    SELECT id, 10000, 1, 1234, 0.0125, true FROM run
), step AS (
    INSERT INTO steps (id, run_id, task_id, capability, rank, state, ended_at, arm)
    SELECT gen_random_uuid(), run.id, task_id, 'execute', 0, 'failed', now(), min(name)
    FROM run, arms GROUP BY run.id, task_id
    RETURNING id, arm
), attempt AS (
    INSERT INTO attempts (step_id, number, worker_id, lease_until, ended_at, outcome)
    SELECT step.id, 1, (SELECT id FROM workers LIMIT 1), now(), now(), 'failed' FROM step
    RETURNING id, step_id
), call AS (
    INSERT INTO calls (attempt_id, step_id, number, arm, request_digest, ended_at, outcome,
        reserved_tokens, reserved_usd, tokens, cost_usd, is_estimated, detail)
    SELECT attempt.id, step_id, 1, arm, '', now(), 'unknown', 5000, 0.5, 5000, 0.5, true,
        'the connection broke'
    FROM attempt, step
)
SELECT id FROM task
"""
# A refused plan, a plan of two steps of which one is flagged, a check, a repair, and a decision.
PLAN = """
WITH task AS (
    INSERT INTO tasks (goal, status, acceptance_criteria)
    VALUES ('Plan', 'processing', '["is short", "is kind", "is true"]') RETURNING id
), run AS (
    INSERT INTO runs (task_id, number, started_at, ends_at, parked_at, verdicts)
    SELECT id, 1, now(), now(), now(), '[
        {"verdict": "met", "by": "rule", "evidence": "It has 3 words.", "confidence": 1},
        {"verdict": "not_met", "by": "arm", "evidence": "It is rude.", "confidence": 0.9},
        {"verdict": "undecided", "by": null, "evidence": "Nobody knows.", "confidence": 0.5}]'
    FROM task RETURNING id, task_id
), step AS (
    INSERT INTO steps (id, run_id, task_id, capability, rank, role, revision, number, state, action,
        depends_on, faults, answer, verdict, estimated_seconds, ended_at, waits_for, parked_at)
    SELECT gen_random_uuid(), id, task_id, 'execute', 0, role, revision, number, state, action,
        depends_on::integer[], faults::jsonb, answer::jsonb, verdict, 4,
        CASE WHEN waits_for IS NULL THEN now() END, waits_for,
        CASE WHEN waits_for IS NOT NULL THEN now() END
    FROM run, (VALUES
        ('plan', 1, 0, 'done', '', '{}', '[]', '{"steps": []}', 'safe', NULL),
        ('plan', 2, 0, 'done', '', '{}', '["It has no steps."]', '{"steps": [1]}', 'safe', NULL),
        ('execute', 2, 1, 'done', 'Read', '{}', '[]', '{"a": [1]}', 'flagged', NULL),
        ('execute', 2, 2, 'done', 'Write', '{1}', '[]', '"text"', 'safe', NULL),
        ('judge', 2, 3, 'failed', '', '{2}', '[]', NULL, NULL, NULL),
        ('repair', 2, 4, 'done', 'Smile', '{2}', '[{"criterion": "is kind", "why": "no"}]',
            '"long text"', 'safe', NULL),
        ('decide', 2, 5, 'ready', '', '{4}', '[]', NULL, NULL, 'decision')
    ) AS made (role, revision, number, state, action, depends_on, faults, answer, verdict,
        waits_for)
)
SELECT id FROM task
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
        "unfinished": "INSERT INTO task_actions"
        " (id, verb, actor, reason, task_ids, position, changed, confirmed_at)"
        " SELECT gen_random_uuid(), 'requeue', 'admin', 'why', array_agg(id), 1, 0, now()"
        " FROM tasks RETURNING id",
        "client": CLIENT.format(name="reporting", disabled_at="NULL"),
        "disabled": CLIENT.format(name="former", disabled_at="now()"),
        "tokens": TOKENS,
        "arm": ARM,
        "waiting": WAITING,
        "run": RUN,
        "plan": PLAN,
        "decision": "SELECT id FROM steps WHERE waits_for = 'decision' LIMIT 1",
        "unknown": "INSERT INTO task_actions"
        " (id, verb, actor, reason, task_ids, position, changed)"
        " SELECT gen_random_uuid(), 'requeue', 'admin', '', array_agg(task_id), 0, 0"
        " FROM runs WHERE failure_code = 'outcome_unknown' RETURNING id",
        "sign_in": "INSERT INTO sign_ins (account, outcome, client_address, request_id)"
        " VALUES ('', 'failed', '192.0.2.1', 'ab12') RETURNING id",
    }.items():
        [(found[name],)] = database.execute(statement).fetchall()
    return found


def unfold(console: Console) -> None:
    console.driver.execute_script(
        "document.querySelectorAll('details').forEach(e => { e.open = true })"
    )


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
        if name in ("a plan", "a decision"):
            unfold(console)
        found[name] = [*console.complaints(), *violations(console, axe)]
    console.open(f"/admin/tasks/action/{ids['small']}/change/")
    console.labelled("Reason:").send_keys("as agreed")
    console.press("Confirm")
    console.wait_for(".outcome", "0 of 2 tasks processed")
    found["an action that waits"] = violations(console, axe)
    console.open("/admin/pause")
    console.labelled("Reason:").send_keys("costs explode")
    console.press("Pause all calls")
    console.wait_for(".messagelist", "All new calls to arms are paused")
    found["a pause"] = violations(console, axe)
    console.press("End the pause")
    console.wait_for(".messagelist", "Calls begin again.")
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
        "an unfinished action",
        "a run",
        "a plan",
        "decisions",
        "a decision",
        "a task that waits",
        "arms",
        "an arm",
        "a new arm",
        "workers",
        "pause",
        "dry run",
        "clients",
        "a client",
        "a client with tokens",
        "sign-ins",
    ):
        console.open(PAGES[name].format(**ids))
        if name in ("a plan", "a decision"):
            unfold(console)
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
    for name in (
        "tasks",
        "receipts",
        "a task that failed",
        "dashboard",
        "an unfinished action",
        "a plan",
        "decisions",
    ):
        console.open(PAGES[name].format(**ids))
        unfold(console)
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


@pytest.mark.parametrize("width", [1240, 1280, 1366, 1400, 1600])
def test_header_is_one_line(width: int, console: Console) -> None:
    console.of_width(width, 900)
    console.sign_in("admin")
    for part in ("#site-name", ".sections", "#user-tools"):
        # The text of each part would be higher in two lines.
        assert console.find(part).rect["height"] < 32, part
    tops = [console.find(part).rect["y"] for part in ("#site-name", ".sections", "#user-tools")]
    assert max(tops) - min(tops) < 10


def test_ordinary_words_of_the_names_of_clients_do_not_break(
    console: Console, database: "psycopg.Connection[tuple[object]]"
) -> None:
    for name in ("development", "x" * 90):
        database.execute(
            "WITH client AS ("
            " INSERT INTO clients (id, name) VALUES (gen_random_uuid(), %s) RETURNING id"
            ") INSERT INTO tasks (goal, client_id)"
            " SELECT repeat('Break no words ', 9), id FROM client",
            [name],
        )
    console.sign_in("admin")
    console.open("/admin/tasks/task/?q=break+no+words")
    lines = (
        "const cells = [...document.querySelectorAll('td.field-client_name')];"
        "return cells.map(cell => { const text = document.createRange();"
        " text.selectNodeContents(cell);"
        " return [cell.innerText.slice(0, 11), text.getClientRects().length, cell.offsetWidth] })"
    )
    found = {name: rest for name, *rest in console.driver.execute_script(lines)}
    assert found["development"][0] == 1
    count, column = found["x" * 11]
    assert count > 1
    assert column < 200


def test_list_of_receipts_fits_into_1366_pixels(console: Console) -> None:
    console.of_width(1366, 900)
    console.sign_in("admin")
    console.open("/admin/safety/receipt/")
    results = console.find("#changelist-form .results")
    assert results.get_property("scrollWidth") == results.get_property("clientWidth")
