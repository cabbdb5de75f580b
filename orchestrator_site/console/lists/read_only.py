"""What the console's pages have in common: everything to see, nothing to change."""

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

# Whoever acts on all rows has to know that they are all.
LEFT_OUT: Final = "A filter made no sense and was left out: the list shows everything."


class BoundedChangeList(ChangeList):
    """Sorts by nothing but what the list offers, and turns no page beyond the last.

    Django takes any column from a URL; and where rows have left the filter, so that the page
    they were on is gone, it would take the filter away.
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
    """Answers requests for a list that make no sense.

    Where a filter of the URL does not, all rows are shown, as Django does for most. Where an action
    is to touch what can be no id, it is refused; so is a filter that the list does not offer.
    """

    # What a URL may filter by. Django would allow every field: also what the user may not see,
    # to be read letter by letter, and what has no index.
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
    """Takes away everything but the view permission."""

    # Both would count the whole table on every page.
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
            self.message_user(request, LEFT_OUT, messages.WARNING)
        with _planned_for_its_values():
            title = capfirst(self.opts.verbose_name_plural)
            return super().changelist_view(request, {"title": title, **(extra_context or {})})


@contextmanager
def _planned_for_its_values() -> Iterator[None]:
    """Have statements planned anew each time.

    Prepared ones get a plan for any value after a while. For a search it would be that for
    a frequent word: through the whole table in the order of time, if the word is rare.
    """
    connection.ensure_connection()
    prepared = connection.connection
    threshold, prepared.prepare_threshold = prepared.prepare_threshold, None
    try:
        yield
    finally:
        prepared.prepare_threshold = threshold
