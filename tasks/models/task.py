"""The table `tasks`: a task, its named queries, and the verbs that change it."""

import functools
import uuid
from collections.abc import Collection
from decimal import Decimal
from typing import Final

from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchQuery, SearchVector, SearchVectorField
from django.db import connections, models, transaction
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Now

from safety.models import Receipt
from tasks.changes import ActorKind, EventKind, change
from tasks.exceptions import InvalidTransition, PriorityNotChanged
from tasks.execution.endings import end_runs
from tasks.execution.ringing import rank_again, ring_tasks
from tasks.search import SEPARATORS, SearchTerm
from tasks.states import (
    PRIORITY_MATTERS_IN,
    TRANSITIONS,
    Priority,
    Status,
    TaskVerdict,
    sources,
)

DEFAULT_MAX_COST_USD: Final = Decimal("1.0")
DEFAULT_MAX_TIME_SECONDS: Final = 600
DEFAULT_MAX_TOKENS: Final = 10_000
COST_DIGITS: Final = 12
COST_DECIMALS: Final = 4
MAX_COST_USD: Final = Decimal("99999999.9999")
MAX_INTEGER: Final = 2_147_483_647

# Goals may be in any language, and contain names and numbers. So words are indexed as they are, in
# lower case: without stop words, and without the stems of one language.
SEARCH_CONFIGURATION: Final = "simple"

# Counts up to this number are exact; beyond it they are the estimates of the planner.
EXACT_COUNT_LIMIT: Final = 10_000


class TaskQuerySet(models.QuerySet["Task"]):
    def count_by_status(self) -> dict[Status, int]:
        """Return how many tasks are in each status, in a time that does not grow with them.

        Counts beyond `EXACT_COUNT_LIMIT` are the planner's estimates.
        """
        limit = EXACT_COUNT_LIMIT + 1
        counts = {status: self.filter(status=status)[:limit].count() for status in Status}
        if limit in counts.values():
            estimates = self._estimates_by_status()
            for status, count in counts.items():
                if count == limit:
                    counts[status] = max(count, estimates.get(status, 0))
        return counts

    def newest_in(self, status: Status) -> "TaskQuerySet":
        return self._between(status).order_by("-status", "-created_at")

    def longest_in(self, status: Status) -> "TaskQuerySet":
        """Return the tasks in `status`, the oldest first."""
        return self._between(status).order_by("status", "created_at")

    def _between(self, status: Status) -> "TaskQuerySet":
        """Return the tasks in `status`, as a range of one value.

        With `status = 'pending'` PostgreSQL may choose the index on the time alone, and read
        through a million ended tasks to find a few pending ones.
        """
        return self.filter(status__gte=status, status__lte=status)

    def matching(
        self, term: SearchTerm, *, in_goals: bool = True, in_receipts: bool = True
    ) -> "TaskQuerySet":
        """Return the tasks that `term` may mean; every meaning is looked up by an index.

        Args:
            in_goals: whether to search words of the goal.
            in_receipts: whether to search request ids.
        """
        found = Q(pk__in=[])
        if in_goals:
            words = SearchQuery(term.words, config=SEARCH_CONFIGURATION, search_type="websearch")
            found |= Q(goal_words=words)
        if term.id_range:
            found |= Q(pk__range=term.id_range)
        if in_receipts and term.request_id:
            # A statement of its own: PostgreSQL can combine indexes by OR, but not with a
            # subquery.
            found |= Q(pk__in=Receipt.objects.subject_ids_with_request_id(term.request_id))
        return self.filter(found)

    def with_result(self) -> "TaskQuerySet":
        return self.filter(has_result=True)

    def without_result(self) -> "TaskQuerySet":
        return self.filter(has_result=False)

    def _estimates_by_status(self) -> dict[str, int]:
        with connections[self.db].cursor() as cursor:
            cursor.execute(
                """
                SELECT value, (reltuples * frequency)::bigint
                FROM pg_class
                JOIN pg_namespace ON pg_namespace.oid = relnamespace
                JOIN pg_stats ON schemaname = nspname AND tablename = relname,
                unnest(most_common_vals::text::text[], most_common_freqs)
                    AS common (value, frequency)
                WHERE pg_class.oid = 'tasks'::regclass AND attname = 'status'
                """
            )
            return dict(cursor.fetchall())


_TaskQuerySetManager = models.Manager.from_queryset(TaskQuerySet)


class TaskManager(_TaskQuerySetManager):
    """The verbs for many tasks at once, and the named queries.

    A verb takes at most a thousand ids, so that the rows are not locked for long. It is one
    transaction: it changes the tasks that may be changed, with their steps and jobs, leaves the
    others alone, and returns the ids of the changed tasks. The verbs are not on the QuerySet, where
    a filter before them would be ignored.
    """

    def cancel(
        self,
        task_ids: Collection[uuid.UUID],
        *,
        actor: str = "",
        reason: str = "",
        acted: ActorKind | None = None,
    ) -> set[uuid.UUID]:
        return _enter_many(Status.CANCELLED, task_ids, actor=actor, reason=reason, acted=acted)

    def requeue(
        self, task_ids: Collection[uuid.UUID], *, actor: str = "", reason: str = ""
    ) -> set[uuid.UUID]:
        return _enter_many(Status.PENDING, task_ids, actor=actor, reason=reason)

    def change_priority(
        self,
        task_ids: Collection[uuid.UUID],
        priority: Priority,
        *,
        actor: str = "",
        reason: str = "",
    ) -> set[uuid.UUID]:
        with transaction.atomic():
            changed = change(
                EventKind.PRIORITY,
                priority,
                task_ids=task_ids,
                sources=PRIORITY_MATTERS_IN,
                actor=actor,
                reason=reason,
            )
            rank_again(changed)
        return changed


class Task(models.Model):
    """One accepted submission and its life.

    Clients and staff change status and priority only through the verbs below, and workers only
    through `tasks.execution`; every change writes an event. Each verb begins with one conditional
    statement: when two processes race, exactly one wins, and the other gets `InvalidTransition` or
    `PriorityNotChanged`. An `actor` is the name of a member of staff.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, db_default=RandomUUID())
    # None for a task that was submitted without a key.
    client = models.ForeignKey(
        "tasks.Client",
        null=True,
        on_delete=models.PROTECT,
        related_name="tasks",
        # The indexes below replace the one that Django would create.
        db_index=False,
        # Checking the key would lock the client's row at each submission, and many at once would
        # wait for one another. Clients cannot be deleted: a trigger refuses it.
        db_constraint=False,
    )
    goal = models.TextField()
    status = models.TextField(
        choices=Status, default=Status.PENDING, db_default=Status.PENDING.value
    )
    priority = models.TextField(
        choices=Priority, default=Priority.MEDIUM, db_default=Priority.MEDIUM.value
    )
    constraints = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    context = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    acceptance_criteria = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    task_metadata = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    assigned_arm = models.TextField(null=True, blank=True)  # noqa: DJ001 - null as specified
    max_cost_usd = models.DecimalField(
        max_digits=COST_DIGITS,
        decimal_places=COST_DECIMALS,
        default=DEFAULT_MAX_COST_USD,
        db_default=Value(DEFAULT_MAX_COST_USD, models.DecimalField()),
    )
    max_time_seconds = models.IntegerField(
        default=DEFAULT_MAX_TIME_SECONDS, db_default=DEFAULT_MAX_TIME_SECONDS
    )
    max_tokens = models.IntegerField(default=DEFAULT_MAX_TOKENS, db_default=DEFAULT_MAX_TOKENS)
    # The gate's verdict; a task that was inserted by SQL is `unscreened`.
    verdict = models.TextField(
        choices=TaskVerdict, default=TaskVerdict.UNSCREENED, db_default=TaskVerdict.UNSCREENED.value
    )
    # Triggers on INSERT and DELETE of results keep it. A subquery for each task would take seconds
    # in the filters of the console.
    has_result = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    # A column, since an index on an expression would parse the goal again at each change of status,
    # and for each row that a search reads in the order of time.
    goal_words = models.GeneratedField(
        expression=SearchVector(
            Func(
                F("goal"),
                Value(SEPARATORS),
                Value(" " * len(SEPARATORS)),
                function="translate",
                output_field=models.TextField(),
            ),
            config=SEARCH_CONFIGURATION,
        ),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    objects = TaskManager()

    class Meta:
        db_table = "tasks"
        ordering = ("-created_at",)
        default_permissions = ("view",)
        permissions = (
            ("view_task_content", "Can view goal, context and results"),
            ("operate_task", "Can cancel, requeue and change the priority"),
            ("decide_task", "Can accept and reject results that wait for a decision"),
        )
        indexes = (
            # Workers look for pending tasks, the console filters, /metrics counts.
            models.Index(fields=["status"], name="idx_tasks_status"),
            # The console lists the newest first.
            models.Index(fields=["created_at"], name="idx_tasks_created_at"),
            # The console filters by status, verdict, priority and arm, newest first and by day.
            # Without these indexes, finding a rare value would read the whole table.
            models.Index(fields=["status", "created_at"], name="idx_tasks_status_created_at"),
            models.Index(fields=["verdict", "created_at"], name="idx_tasks_verdict"),
            models.Index(fields=["priority", "created_at"], name="idx_tasks_priority"),
            models.Index(
                fields=["assigned_arm", "created_at"],
                name="idx_tasks_arm",
                condition=Q(assigned_arm__isnull=False),
            ),
            models.Index(
                fields=["status", "created_at"],
                name="idx_tasks_without_result",
                condition=Q(has_result=False),
            ),
            # A client lists its tasks, newest first; the console filters by client.
            models.Index(fields=["client", "created_at", "id"], name="idx_tasks_client"),
            # A client filters its tasks by any statuses and priorities, and pending ones are
            # counted.
            models.Index(
                fields=["client", "status", "priority", "created_at", "id"],
                condition=Q(client__isnull=False),
                name="idx_tasks_client_status",
            ),
            # A client asks for tasks that changed since it last looked.
            models.Index(
                fields=["client", "updated_at"],
                condition=Q(client__isnull=False),
                name="idx_tasks_client_updated_at",
            ),
            # The console searches for words of the goal.
            GinIndex(fields=["goal_words"], name="idx_tasks_goal_words"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="tasks_status_known"
            ),
            models.CheckConstraint(
                condition=Q(priority__in=Priority.values), name="tasks_priority_known"
            ),
            models.CheckConstraint(
                condition=Q(verdict__in=TaskVerdict.values), name="tasks_verdict_known"
            ),
            models.CheckConstraint(
                # The upper bound refuses NaN, which PostgreSQL sorts above all numbers.
                condition=Q(max_cost_usd__range=(0, MAX_COST_USD)),
                name="tasks_max_cost_usd_in_range",
            ),
            models.CheckConstraint(
                condition=Q(max_time_seconds__gte=0), name="tasks_max_time_seconds_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(max_tokens__gte=0), name="tasks_max_tokens_not_negative"
            ),
        )

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def is_final(self) -> bool:
        return not TRANSITIONS[Status(self.status)]

    @functools.cached_property
    def receipt(self) -> Receipt | None:
        """The receipt of its submission; None where it did not come by the gate."""
        return Receipt.objects.of_submission(self.pk).first()

    def cancel(self, *, actor: str = "", reason: str = "") -> None:
        """End a task that is pending or being processed, for good."""
        self._enter(Status.CANCELLED, actor=actor, reason=reason)

    def requeue(self, *, actor: str = "", reason: str = "") -> None:
        """Make a failed task pending again."""
        self._enter(Status.PENDING, actor=actor, reason=reason)

    def change_priority(self, priority: Priority, *, actor: str = "", reason: str = "") -> None:
        """Give a pending task another priority."""
        if not Task.objects.change_priority([self.pk], priority, actor=actor, reason=reason):
            raise PriorityNotChanged(self.pk, priority)
        self.refresh_from_db(fields=["priority", "updated_at"])

    def _enter(self, wanted: Status, *, actor: str = "", reason: str = "") -> None:
        if not _enter_many(wanted, [self.pk], actor=actor, reason=reason):
            raise InvalidTransition(self.pk, wanted)
        self.refresh_from_db(fields=["status", "updated_at"])


def _enter_many(
    wanted: Status,
    task_ids: Collection[uuid.UUID],
    *,
    actor: str,
    reason: str,
    acted: ActorKind | None = None,
) -> set[uuid.UUID]:
    with transaction.atomic():
        changed = change(
            EventKind.STATUS,
            wanted,
            task_ids=task_ids,
            sources=sources(wanted),
            actor=actor,
            reason=reason,
            acted=acted,
        )
        if wanted is Status.PENDING:
            ring_tasks(changed)
        else:
            end_runs(changed)
    return changed
