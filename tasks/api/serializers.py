"""The bodies of requests and answers; the fields declare the limits of the input.

`tasks.api.answers` makes the answers; their serializers here are for the schema.
"""

import functools
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from rest_framework import serializers

from safety.document import MAX_TEXT_BYTES, TextTooLong
from safety.findings import Kind
from safety.policy import Verdict
from tasks.api.fields import (
    DecimalField,
    IntegerField,
    KnownFieldsOnly,
    ObjectField,
    PriorityField,
    TextField,
    TextListField,
)
from tasks.arms.forms import CriterionVerdict
from tasks.changes import ActorKind, EventKind
from tasks.clients.scopes import Scope
from tasks.execution.failures import FailureCode
from tasks.execution.runs.criteria import JudgedBy
from tasks.models import Task
from tasks.models.task import (
    COST_DECIMALS,
    COST_DIGITS,
    DEFAULT_MAX_COST_USD,
    DEFAULT_MAX_TIME_SECONDS,
    DEFAULT_MAX_TOKENS,
    MAX_INTEGER,
)
from tasks.states import Priority, WaitsFor
from tasks.submission import Submission
from tasks.timeline import SUBMITTED

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
    """How much the execution of the task may use."""

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

    def to_internal_value(self, data: Any) -> Any:
        """Apply what a task may cost at most."""
        values: dict[str, Any] = super().to_internal_value(data)
        limit = settings.MAX_COST_USD_PER_TASK
        if limit is None or values["max_cost_usd"] <= limit:
            return values
        if "max_cost_usd" in data:
            raise serializers.ValidationError(
                {"max_cost_usd": [f"A task may cost at most {limit:f} US dollars."]}
            )
        return {**values, "max_cost_usd": limit}


class SubmissionSerializer(KnownFieldsOnly):
    """The body of `POST /submit`."""

    goal = TextField(
        max_length=MAX_GOAL_CHARACTERS, help_text="The work to do. Stored exactly as sent."
    )
    constraints = TextListField(
        max_items=MAX_LIST_ITEMS,
        max_length=MAX_ITEM_CHARACTERS,
        default=list,
        help_text="Rules for the work.",
    )
    # DRF removes fields from the class, so this one does not hide DRF's own `context`.
    context = ObjectField(  # type: ignore[assignment]
        max_depth=MAX_CONTEXT_DEPTH,
        default=dict,
        help_text=f"Background information, at most {MAX_CONTEXT_DEPTH} levels deep.",
    )
    acceptance_criteria = TextListField(
        max_items=MAX_LIST_ITEMS,
        max_length=MAX_ITEM_CHARACTERS,
        default=list,
        help_text="How to recognise that the task is done.",
    )
    priority = PriorityField(choices=Priority.choices, default=Priority.MEDIUM)
    budget = BudgetSerializer(
        required=False, allow_null=True, help_text="Missing values take their defaults."
    )

    def get_initial(self) -> dict[str, Any]:
        """Return the example in the form of the browsable API."""
        return EXAMPLE

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        """Treat `null` like any other body that is not an object."""
        return False, data

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse texts that are too long for one call to the Reflex Layer."""
        budget = attrs.pop("budget", None) or _default_budget(settings.MAX_COST_USD_PER_TASK)
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
    """A task when it was accepted."""

    task_id = serializers.UUIDField(source="id", read_only=True)
    metadata = serializers.DictField(source="task_metadata", read_only=True)

    class Meta:
        model = Task
        fields: tuple[str, ...] = TASK_FIELDS
        read_only_fields = fields


class FailureSerializer(serializers.Serializer[Any]):
    """Why a task failed."""

    code = serializers.ChoiceField(choices=FailureCode.values)
    detail = serializers.CharField(help_text="A sentence, without any text of the task.")


class UsageSerializer(serializers.Serializer[Any]):
    """What the calls of arms for a task have used, in all its runs."""

    tokens = serializers.IntegerField()
    cost_usd = serializers.FloatField()
    seconds = serializers.FloatField()
    estimated = serializers.BooleanField(
        help_text="Whether an arm did not report its usage, so that what was reserved counts."
    )


class ProgressSerializer(serializers.Serializer[Any]):
    """Where an unfinished task is."""

    since = serializers.DateTimeField()
    steps = serializers.IntegerField(
        allow_null=True, help_text="Of the newest plan; null before there is a plan."
    )
    done = serializers.IntegerField(help_text="How many of them are done.")
    step = serializers.IntegerField(
        allow_null=True,
        help_text="The step that is carried out, or that waits; null before the first, and 0 while "
        "a plan is made. Checks and repairs have the numbers after those of the plan.",
    )
    waits_for = serializers.ChoiceField(
        choices=WaitsFor.values, allow_null=True, help_text="Null if it is not parked."
    )
    detail = serializers.CharField(
        allow_null=True,
        help_text="The same in a sentence; null while a step is carried out.",
    )


STATE_FIELDS: Final = (*TASK_FIELDS[:-1], "updated_at", "metadata", "failure", "usage", "progress")


class ListedTaskSerializer(TaskSerializer):
    """The current state of a task, without its criteria and its result."""

    failure = FailureSerializer(read_only=True, allow_null=True)
    usage = UsageSerializer(read_only=True)
    progress = ProgressSerializer(
        read_only=True, allow_null=True, help_text="Null once the task has ended."
    )

    class Meta(TaskSerializer.Meta):
        fields = STATE_FIELDS
        read_only_fields = fields


class CriterionSerializer(serializers.Serializer[Any]):
    """An acceptance criterion of a task, and what was found about it in the newest run."""

    criterion = serializers.CharField()
    verdict = serializers.ChoiceField(choices=[verdict.value for verdict in CriterionVerdict])
    by = serializers.ChoiceField(
        choices=[by.value for by in JudgedBy],
        allow_null=True,
        help_text="Null as long as nobody has looked.",
    )
    evidence = serializers.CharField(help_text="A sentence; may be empty.", allow_blank=True)
    confidence = serializers.FloatField(min_value=0, max_value=1, help_text="In the verdict.")


class ResultSerializer(serializers.Serializer[Any]):
    """A result of a task."""

    result_data = serializers.JSONField()
    confidence = serializers.FloatField(min_value=0, max_value=1)
    created_at = serializers.DateTimeField()


class TaskDetailSerializer(ListedTaskSerializer):
    """The current state of a task, with its criteria and its newest result."""

    criteria = CriterionSerializer(many=True, read_only=True, help_text="In their order.")
    result = ResultSerializer(read_only=True, allow_null=True)

    class Meta(TaskSerializer.Meta):
        fields = (*STATE_FIELDS, "criteria", "result")
        read_only_fields = fields


class PageSerializer(serializers.Serializer[Any]):
    """A page of a list; `next` and `previous` are URLs with a cursor, or null at the ends."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class TaskPageSerializer(PageSerializer):
    """Some of the client's tasks, newest first."""

    results = ListedTaskSerializer(many=True)


class EventSerializer(serializers.Serializer[Any]):
    """The submission of a task, or one thing that happened to it."""

    kind = serializers.ChoiceField(choices=[SUBMITTED, *EventKind.values])
    created_at = serializers.DateTimeField()
    to = serializers.CharField(
        allow_null=True, help_text="The status or priority afterwards; null if neither changed."
    )
    actor = serializers.ChoiceField(choices=ActorKind.choices)

    def get_fields(self) -> dict[str, Any]:
        """Add `from`, which is no name in Python."""
        before = serializers.CharField(
            allow_null=True,
            help_text="The status or priority before; null before a submission, or if neither "
            "changed.",
        )
        return {**super().get_fields(), "from": before}


class EventPageSerializer(PageSerializer):
    """Some events of a task, its submission first."""

    results = EventSerializer(many=True)


class FindingSerializer(serializers.Serializer[Any]):
    """One finding of the Reflex Layer in one place; never the text itself."""

    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind])
    type = serializers.CharField()
    severity = serializers.CharField(allow_null=True)
    confidence = serializers.FloatField(allow_null=True)
    field = serializers.CharField(
        allow_null=True, help_text="Null if the Reflex Layer does not say where."
    )
    start = serializers.IntegerField(allow_null=True, help_text="In characters of the field.")
    end = serializers.IntegerField(allow_null=True, help_text="Exclusive.")


class ScreeningSerializer(serializers.Serializer[Any]):
    """What a real submission would meet now."""

    verdict = serializers.ChoiceField(choices=[verdict.value for verdict in Verdict])
    policy_version = serializers.CharField()
    redacted_types = serializers.ListField(child=serializers.CharField())
    findings = FindingSerializer(many=True)


class ClientSerializer(serializers.Serializer[Any]):
    """The client of a key or token, and what that may do."""

    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices))
    expires_at = serializers.DateTimeField(allow_null=True, help_text="Null for never.")
    rate_limit = serializers.IntegerField(
        allow_null=True, help_text="Requests a minute; null for no limit."
    )
    rate_limit_remaining = serializers.IntegerField(
        allow_null=True, help_text="How many further requests would pass now."
    )
    max_pending_tasks = serializers.IntegerField(allow_null=True, help_text="Null for no limit.")


# Making a serializer copies all its fields. These keep no state of a request, so one of each
# serves all requests.
_SUBMISSION: Final = SubmissionSerializer()


@functools.cache
def _default_budget(max_cost_usd: Decimal | None) -> dict[str, Any]:
    """Return the budget of a submission without one, under a limit of what a task may cost."""
    budget: dict[str, Any] = BudgetSerializer().run_validation({})
    return budget


def parse_submission(body: Any) -> Submission:
    """Return the submission in a JSON value.

    Raises:
        ValidationError: the value is not a submission, or exceeds a limit.
    """
    submission: Submission = _SUBMISSION.run_validation(body)["submission"]
    return submission
