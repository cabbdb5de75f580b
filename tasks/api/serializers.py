"""The bodies of the API, in and out; the limits of the input stand on its fields."""

from typing import Any, Final

from rest_framework import serializers

from safety.document import MAX_TEXT_BYTES, TextTooLong
from tasks.api.fields import (
    DecimalField,
    IntegerField,
    KnownFieldsOnly,
    ObjectField,
    PriorityField,
    TextField,
    TextListField,
)
from tasks.models import Task
from tasks.models.task import (
    COST_DECIMALS,
    COST_DIGITS,
    DEFAULT_MAX_COST_USD,
    DEFAULT_MAX_TIME_SECONDS,
    DEFAULT_MAX_TOKENS,
    MAX_INTEGER,
)
from tasks.reading import ReadTask
from tasks.states import Priority
from tasks.submission import Submission

EXAMPLE: Final = {
    "goal": "Analyze sentiment of user reviews",
    "constraints": ["No PII in output", "Complete within 5 minutes"],
    "context": {"user_id": "user123", "source": "web_app"},
    "acceptance_criteria": ["Sentiment score between -1 and 1"],
    "priority": "high",
    "budget": {"max_cost_usd": 0.50, "max_time_seconds": 300, "max_tokens": 2000},
}
MAX_GOAL_CHARACTERS: Final = 10_000
MAX_LIST_ITEMS: Final = 100
MAX_ITEM_CHARACTERS: Final = 2_000
MAX_CONTEXT_DEPTH: Final = 20


class BudgetSerializer(KnownFieldsOnly):
    """Limits on what carrying the task out may take."""

    max_cost_usd = DecimalField(
        max_digits=COST_DIGITS,
        decimal_places=COST_DECIMALS,
        min_value=0,
        coerce_to_string=False,
        default=DEFAULT_MAX_COST_USD,
        help_text="US dollars.",
    )
    max_time_seconds = IntegerField(
        min_value=0, max_value=MAX_INTEGER, default=DEFAULT_MAX_TIME_SECONDS
    )
    max_tokens = IntegerField(
        min_value=0,
        max_value=MAX_INTEGER,
        default=DEFAULT_MAX_TOKENS,
        help_text="Tokens of language models.",
    )


class SubmissionSerializer(KnownFieldsOnly):
    """The body of `POST /submit`."""

    goal = TextField(
        max_length=MAX_GOAL_CHARACTERS, help_text="What is to be done. Kept exactly as it came."
    )
    constraints = TextListField(
        max_items=MAX_LIST_ITEMS,
        max_length=MAX_ITEM_CHARACTERS,
        default=list,
        help_text="What must hold while it is done.",
    )
    # DRF takes fields out of the class, so this one does not hide its own `context`.
    context = ObjectField(  # type: ignore[assignment]
        max_depth=MAX_CONTEXT_DEPTH,
        default=dict,
        help_text=f"Background information, at most {MAX_CONTEXT_DEPTH} levels deep.",
    )
    acceptance_criteria = TextListField(
        max_items=MAX_LIST_ITEMS,
        max_length=MAX_ITEM_CHARACTERS,
        default=list,
        help_text="How to tell that it is done.",
    )
    priority = PriorityField(choices=Priority.choices, default=Priority.MEDIUM)
    budget = BudgetSerializer(
        required=False, allow_null=True, help_text="What is left out takes its default."
    )

    def get_initial(self) -> dict[str, Any]:
        """Return what the form of the browsable API begins with."""
        return EXAMPLE

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        """Take `null` for a body like any other that is no object."""
        return False, data

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what one call to the Reflex Layer could not hold."""
        budget = attrs.pop("budget", None) or _DEFAULT_BUDGET
        submission = Submission(**attrs, **budget)
        try:
            submission.document.pieces  # noqa: B018
        except TextTooLong as error:
            raise serializers.ValidationError(
                f"All texts together, the keys and numbers of context included, may have at "
                f"most {MAX_TEXT_BYTES} bytes of UTF-8."
            ) from error
        return {"submission": submission}


TASK_FIELDS: Final = ("task_id", "goal", "status", "priority", "created_at", "metadata")


class TaskSerializer(serializers.ModelSerializer[Task]):
    """A task as it was accepted."""

    task_id = serializers.UUIDField(source="id", read_only=True)
    metadata = serializers.DictField(source="task_metadata", read_only=True)

    class Meta:
        model = Task
        fields: tuple[str, ...] = TASK_FIELDS
        read_only_fields = fields


class ResultSerializer(serializers.Serializer[Any]):
    """What came out of a task."""

    result_data = serializers.JSONField()
    confidence = serializers.FloatField(min_value=0, max_value=1)
    created_at = serializers.DateTimeField()


class TaskDetailSerializer(TaskSerializer):
    """A task as it stands now, with its newest result."""

    result = ResultSerializer(read_only=True, allow_null=True)

    class Meta(TaskSerializer.Meta):
        fields = (*TASK_FIELDS[:-1], "updated_at", "metadata", "result")
        read_only_fields = fields


# To make a serializer is to copy all its fields. These keep nothing of what passes through
# them, so that one of each serves all requests.
_SUBMISSION: Final = SubmissionSerializer()
_DEFAULT_BUDGET: Final = BudgetSerializer().run_validation({})


def parse_submission(body: Any) -> Submission:
    """Return the submission that a JSON value is.

    Raises:
        ValidationError: it is none, or beyond a limit.
    """
    submission: Submission = _SUBMISSION.run_validation(body)["submission"]
    return submission


# The answers are written out: a serializer that does the same takes a tenth of the time of a
# whole read. `TaskSerializer` and `TaskDetailSerializer` describe them, and a test holds every
# answer against that.


def describe_task(task: Task) -> dict[str, Any]:
    """Return the answer for a task as it was accepted."""
    return {
        "task_id": task.id,
        "goal": task.goal,
        "status": task.status,
        "priority": task.priority,
        "created_at": task.created_at,
        "metadata": task.task_metadata,
    }


def describe_read_task(task: ReadTask) -> dict[str, Any]:
    """Return the answer for a task that was read back."""
    return {
        "task_id": task.id,
        "goal": task.goal,
        "status": task.status,
        "priority": task.priority,
        "created_at": task.created_at,
        "updated_at": task.updated_at,
        "metadata": task.task_metadata,
        "result": task.result and task.result._asdict(),
    }
