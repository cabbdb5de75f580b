"""Carry out a task, or a step of one: find sentiments, compare them, or repair such a result."""

from typing import Any, Final

from tasks.arms.bundled.comparing import asks_to_compare, compare, sentiments_in
from tasks.arms.bundled.repair import repaired
from tasks.arms.bundled.request import Task, Unable
from tasks.arms.bundled.sentiment import EXAMPLE, asks_for_sentiment, find_sentiment

HELP: Final = (
    "This arm finds the sentiment of texts, and compares what earlier steps of a plan found. Say "
    'so in the goal, for example "Analyze sentiment of user reviews", and put the texts into the '
    f"context, for example {EXAMPLE}. For other tasks connect a model, for example with "
    "ORCHESTRATOR_ARMS=model=openai+http://localhost:11434/v1?model=llama3.2 (docs/arms.md)."
)


def carry_out(task: Task) -> Any:
    """Return the result of a task.

    Raises:
        Unable: the goal asks for something else, or there is nothing to work on.
    """
    compares, finds = asks_to_compare(task.goal), asks_for_sentiment(task.goal)
    if not (compares or finds):
        raise Unable(HELP)
    if task.repair:
        return repaired(task.repair, task.acceptance_criteria)
    sentiments = sentiments_in(task.results)
    # Words such as "summarize" may also stand in a goal that asks for the sentiment of texts.
    if finds and not (compares and sentiments):
        return find_sentiment(task)
    return compare(sentiments)
