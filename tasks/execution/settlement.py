"""Parts of statements that end calls: what they used moves from reserved to spent, and is counted.

A reservation belongs to its call and ends in the statement that ends it. So reservations are always
the sum of those of the open calls.
"""

from typing import Final

from tasks.execution import counting

# Follows a part named `ended_calls`, the ended rows of `calls` with their `run_id`.
SETTLED: Final = """
    settled_runs AS (
        UPDATE budgets SET
            reserved_tokens = budgets.reserved_tokens - sums.reserved_tokens,
            reserved_usd = budgets.reserved_usd - sums.reserved_usd,
            spent_tokens = budgets.spent_tokens + sums.tokens,
            spent_usd = budgets.spent_usd + sums.cost_usd,
            spent_seconds = budgets.spent_seconds + sums.seconds,
            is_estimated = budgets.is_estimated OR sums.is_estimated
        FROM (
            SELECT run_id, sum(reserved_tokens) AS reserved_tokens,
                sum(reserved_usd) AS reserved_usd, sum(tokens) AS tokens,
                sum(cost_usd) AS cost_usd, bool_or(is_estimated) AS is_estimated,
                sum(extract(epoch FROM ended_at - started_at)) AS seconds
            FROM ended_calls GROUP BY run_id
        ) AS sums
        WHERE budgets.run_id = sums.run_id
        RETURNING budgets.id
    ), settled_days AS (
        UPDATE budgets SET
            reserved_tokens = budgets.reserved_tokens - sums.reserved_tokens,
            reserved_usd = budgets.reserved_usd - sums.reserved_usd,
            spent_tokens = budgets.spent_tokens + sums.tokens,
            spent_usd = budgets.spent_usd + sums.cost_usd,
            spent_seconds = budgets.spent_seconds + sums.seconds
        FROM (
            SELECT day, sum(reserved_tokens) AS reserved_tokens,
                sum(reserved_usd) AS reserved_usd, sum(tokens) AS tokens,
                sum(cost_usd) AS cost_usd,
                sum(extract(epoch FROM ended_at - started_at)) AS seconds
            FROM ended_calls WHERE day IS NOT NULL GROUP BY day
        ) AS sums
        WHERE budgets.day = sums.day
        RETURNING budgets.id
    )
"""

_OF_CALLS: Final = f"""
    SELECT '{counting.ARM_CALLS}' AS name, ARRAY[arm, outcome] AS labels, 1::numeric AS value
    FROM ended_calls
    UNION ALL SELECT '{counting.TOKENS}', ARRAY[arm], tokens FROM ended_calls
    UNION ALL SELECT '{counting.COST_USD}', ARRAY[arm], cost_usd FROM ended_calls
"""


def counted(*others: str) -> str:
    """Return the last part of a statement with `SETTLED`: it raises all counters at once.

    Args:
        others: SELECTs of `name`, `labels` and `value`.
    """
    events = " UNION ALL ".join([_OF_CALLS, *others])
    return f"""
        INSERT INTO {counting.COLUMNS}
        SELECT name, labels, %(part)s, sum(value)
        FROM ({events}) AS events
        -- So that these rows are locked after those of the day.
        WHERE (SELECT count(*) FROM settled_days) >= 0
        GROUP BY name, labels HAVING sum(value) > 0 ORDER BY name, labels
        {counting.ADD}
    """


def attempts_counted(part: str) -> str:
    """Return a SELECT for `counted` of the attempts that `part` has ended."""
    return f"SELECT '{counting.ATTEMPTS}', ARRAY[outcome], 1 FROM {part}"
