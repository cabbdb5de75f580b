"""The answers of steps as HTML: each may be long, and a task may have hundreds."""

import json
from collections.abc import Sequence
from typing import Any, Final

from django.db import connection
from django.utils.html import format_html

from orchestrator_site.console.json_html import json_html
from tasks.models import Step

# Of each answer. The result of the task is shown as a whole.
MAX_CHARACTERS: Final = 20_000
# Of the newest runs.
MAX_ANSWERS: Final = 100
# As they are stored, which is known without reading them.
MAX_STORED_BYTES: Final = 4_000_000
_ANSWERS: Final = """
    SELECT id, left(answer, %(most)s), length(answer)
    FROM (
        SELECT id, answer::text AS answer
        FROM (
            SELECT id, answer, row_number() OVER places AS place,
                sum(pg_column_size(answer)) OVER places AS bytes
            FROM steps WHERE id = ANY(%(ids)s) AND answer IS NOT NULL
            WINDOW places AS (ORDER BY run_id DESC, revision, number)
        ) AS placed
        WHERE place <= %(most_answers)s AND bytes <= %(most_bytes)s
    ) AS texts
"""
TOO_MANY: Final = format_html(
    '<p class="nothing">{}</p>', "Not shown: this task has too many answers, or too long ones."
)


def answers_of(steps: Sequence[Step]) -> dict[Any, str]:
    """Return the answers by the ids of their steps; the newest runs come first.

    A step that has no answer, or whose answer is not shown, is missing.
    """
    if not steps:
        return {}
    parameters: dict[str, Any] = {
        "ids": [step.pk for step in steps],
        "most": MAX_CHARACTERS,
        "most_answers": MAX_ANSWERS,
        "most_bytes": MAX_STORED_BYTES,
    }
    with connection.cursor() as cursor:
        cursor.execute(_ANSWERS, parameters)
        return {step_id: _shown(text, length) for step_id, text, length in cursor.fetchall()}


def _shown(text: str, length: int) -> str:
    if length <= len(text):
        return json_html(json.loads(text))
    return format_html(
        '<div class="json"><pre>{}…</pre></div>'
        '<p class="nothing">The first {} of {} characters.</p>',
        text,
        f"{len(text):,}",
        f"{length:,}",
    )
