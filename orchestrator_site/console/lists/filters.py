"""Filters of the console's lists with input fields."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest

from orchestrator_site.console.formats import short_name
from tasks.models import Client

# Beside the list; the page of each client links to its tasks and receipts, too.
MAX_CLIENTS: Final = 100


class Input(NamedTuple):
    """One field of a filter's form.

    Attributes:
        name: the parameter in the URL.
        type: the HTML input type.
    """

    name: str
    label: str
    type: str


class FormFilter(admin.ListFilter):
    """A small form beside the list."""

    template = "admin/form_filter.html"
    inputs: tuple[Input, ...] = ()
    # Parameters without a field. Only links on other pages set them, and the form removes them.
    of_links: tuple[str, ...] = ()

    def __init__(self, request: HttpRequest, params: dict[str, Any], *others: Any) -> None:
        super().__init__(request, params, *others)
        for name in self.names:
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1]

    @property
    def names(self) -> list[str]:
        return [*(field.name for field in self.inputs), *self.of_links]

    def expected_parameters(self) -> list[str | None]:
        return [*self.names]

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        yield {
            "inputs": [(*field, self.given(field.name)) for field in self.inputs],
            "any": changelist.get_query_string(remove=self.names),
            # The form keeps the other filters.
            "others": [
                (name, value)
                for name, values in changelist.filter_params.items()
                if name not in self.names
                for value in values
            ],
        }

    def given(self, name: str) -> str:
        return str(self.used_parameters.get(name, ""))


class DayFilter(FormFilter):
    """A range of days, both ends included; uses the index on the time.

    Django's `date_hierarchy` would read every row to find the years.
    """

    title = "day (UTC)"
    inputs = (Input("from", "From", "date"), Input("to", "To", "date"))
    # The first moment is included, the second one is not.
    of_links = ("created_at__gte", "created_at__lt")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = self._moment("from"), self._moment("to")
        since, until = self._moment("created_at__gte"), self._moment("created_at__lt")
        if last:
            # Python has no day after `date.max`.
            last = last + timedelta(days=1) if last.date() < date.max else None
        for moment in filter(None, (first, since)):
            queryset = queryset.filter(created_at__gte=moment)
        for moment in filter(None, (last, until)):
            queryset = queryset.filter(created_at__lt=moment)
        return queryset

    def _moment(self, name: str) -> datetime | None:
        """Return the given moment, or the start of the given day; UTC without a time zone."""
        if not (value := self.given(name)):
            return None
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class ClientFilter(admin.SimpleListFilter):
    """One client, or the anonymous callers."""

    title = "client"
    parameter_name = "client"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        # Those that staff made come first: an issuer may make thousands.
        clients = Client.objects.order_by("issuer", "name").values_list("pk", "name")[:MAX_CLIENTS]
        return [("anonymous", "Anonymous"), *((str(pk), short_name(name)) for pk, name in clients)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        if value == "anonymous":
            return queryset.filter(client_id__isnull=True)
        client_id = UUID(value)
        if value not in dict(self.lookup_choices):
            # Staff must see whose rows these are.
            chosen = Client.objects.filter(pk=client_id).values_list("name", flat=True)
            self.lookup_choices += [(value, short_name(name)) for name in chosen]
        return queryset.filter(client_id=client_id)
