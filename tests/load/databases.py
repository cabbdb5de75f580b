"""Databases with as many tasks as a measurement needs."""

from typing import Any, Self

import psycopg

# Realistic tasks of the last thirty days, with every field that a client may send, and in all
# statuses. The shares of the statuses are those of a service that has run for a while.
TASKS = """
INSERT INTO tasks (client_id, goal, status, priority, constraints, context, acceptance_criteria,
    task_metadata, max_cost_usd, max_time_seconds, max_tokens, verdict, created_at, updated_at)
SELECT {client}, 'Analyze sentiment of user reviews, batch ' || number || ' of the archive: '
        || repeat(md5(number::text) || ' ', mod(number, 10)),
    (CASE WHEN mod(number, 100) < 70 THEN 'completed' WHEN mod(number, 100) < 80 THEN 'failed'
        WHEN mod(number, 100) < 90 THEN 'pending' WHEN mod(number, 100) < 95 THEN 'processing'
        ELSE 'cancelled' END),
    (ARRAY['low', 'medium', 'high', 'critical'])[mod(number, 4) + 1],
    '["No PII in output", "Complete within 5 minutes"]', given.context,
    '["Sentiment score between -1 and 1"]', given.context, 0.50, 300, 2000,
    (CASE WHEN mod(number, 50) = 0 THEN 'flagged' ELSE 'safe' END),
    given.at, given.at + interval '1 minute'
FROM generate_series(1, %(count)s) AS number,
LATERAL (SELECT
    jsonb_build_object('user_id', 'user' || mod(number, 5000), 'source', 'web_app') AS context,
    now() - interval '30 days' * (1 - number::float / %(count)s) AS at
) AS given
"""
RECEIPTS = """
INSERT INTO receipts (subject_id, verdict, findings, findings_count, types, policy_version,
    reflex_request_id, duration_seconds, client_address, request_id, created_at)
SELECT id, verdict,
    (CASE verdict WHEN 'flagged' THEN '[{"kind": "injection", "type": "DataExfiltration",
        "severity": "low", "confidence": 0.8, "places": [{"field": "goal", "start": 0,
        "end": 7, "is_key": false}]}]' ELSE '[]' END)::jsonb,
    (verdict = 'flagged')::int,
    (CASE verdict WHEN 'flagged' THEN '["DataExfiltration"]' ELSE '[]' END)::jsonb,
    'load-test', md5(id::text), 0.01, '127.0.0.1', md5(id::text), created_at
FROM tasks
"""
# Three in seven completed tasks, which is 30 % of all tasks.
RESULTS = """
INSERT INTO task_results (task_id, result_data, confidence, created_at)
SELECT id, '{"sentiment": 0.8, "reviews": 1250, "topics": ["price", "delivery", "quality"]}',
    0.95, updated_at
FROM (SELECT *, row_number() OVER () AS number FROM tasks WHERE status = 'completed') AS done
WHERE mod(number, 7) < 3
"""


class Database:
    """A connection to the database of a service."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: psycopg.Connection[Any] = psycopg.connect(url, autocommit=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def fill(self, count: int, *, client: str = "NULL::uuid") -> None:
        """Replace all tasks with `count` new ones with receipts, 30 % of them with results.

        Args:
            client: an SQL expression for the id of their client.
        """
        # The database belongs to the load test; its events record nothing.
        self._connection.execute(
            "ALTER TABLE task_events DISABLE TRIGGER task_events_refuse_truncate"
        )
        self._connection.execute(
            "TRUNCATE tasks, task_results, task_events, idempotency_keys, receipts, runs, budgets, "
            "steps, attempts, calls, procrastinate_jobs CASCADE"
        )
        self._connection.execute(TASKS.format(client=client), {"count": count})
        self._connection.execute(RECEIPTS)
        self._connection.execute(RESULTS)
        self._connection.execute("VACUUM ANALYZE tasks, task_results, receipts")

    def execute(self, statement: str, *parameters: Any) -> None:
        self._connection.execute(statement, parameters)

    def random_task_ids(self, condition: str = "true") -> list[str]:
        rows = self._connection.execute(
            f"SELECT id FROM tasks WHERE {condition} ORDER BY random() LIMIT 10000"
        )
        return [str(task_id) for (task_id,) in rows]

    def settle(self) -> None:
        """Write all changes to disk now, so that they do not slow the measurement."""
        self._connection.execute("CHECKPOINT")

    @property
    def server_version(self) -> str:
        return self._connection.info.parameter_status("server_version") or ""
