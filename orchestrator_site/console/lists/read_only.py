"""The base of the console's read-only pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG, ChangeList
from django.core.exceptions import BadRequest, ValidationError
from django.db import DataError, connection
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.text import capfirst

from orchestrator_site.console.lists.paginator import BoundedPaginator

# Staff must notice this: "select all" now means every row.
FILTER_IGNORED: Final = "An invalid filter was ignored: the list shows all rows."


class BoundedChangeList(ChangeList):
    """Sorts only by columns that the list offers, and shows the last page instead of later ones.

    Django accepts any column in the URL. It also removes all filters if the page does not exist any
    more because rows have left the filter.
    """

    def get_ordering_field(self, field_name: Any) -> Any:
        offered = self.model_admin.sortable_by or ()
        return super().get_ordering_field(field_name) if field_name in offered else None

    def get_results(self, request: HttpRequest) -> None:
        try:
            super().get_results(request)
        except IncorrectLookupParameters:
            paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)
            self.page_num = paginator.num_pages
            super().get_results(request)


class OddRequests(admin.ModelAdmin):
    """Handles invalid requests for a list.

    For an invalid value of a filter, it shows all rows, as Django does for most filters. It refuses
    an action on an invalid id, and a filter that the list does not offer.
    """

    # The lookups that a URL may filter by. Django would allow every field: fields without an
    # index, and fields that the user may not see but could guess letter by letter.
    lookups: frozenset[str] = frozenset()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup in self.lookups

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        try:
            for ticked in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.opts.pk.to_python(ticked)
        except ValidationError as error:
            raise BadRequest("no id of a row") from error
        return super().changelist_view(request, extra_context)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        try:
            return super().get_changelist_instance(request)
        except (DataError, ValueError, OverflowError) as error:
            raise IncorrectLookupParameters from error


class ReadOnlyModelAdmin(OddRequests):
    """Allows viewing only."""

    # Either would count the whole table on every page.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedChangeList

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        if ERROR_FLAG in request.GET:
            if len(request.GET) > 1:
                return redirect(f"{request.path}?{ERROR_FLAG}=1")
            self.message_user(request, FILTER_IGNORED, messages.WARNING)
        with _without_prepared_statements():
            title = capfirst(self.opts.verbose_name_plural)
            return super().changelist_view(request, {"title": title, **(extra_context or {})})


@contextmanager
def _without_prepared_statements() -> Iterator[None]:
    """Have PostgreSQL plan each statement for its values.

    After some executions, a prepared statement gets a generic plan. For a search that is the plan
    for a frequent word, which reads the whole table in the order of time if the word is rare.
    """
    connection.ensure_connection()
    prepared = connection.connection
    threshold, prepared.prepare_threshold = prepared.prepare_threshold, None
    try:
        yield
    finally:
        prepared.prepare_threshold = threshold
