"""What the console's pages have in common: everything to see, nothing to change."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import DataError, connection
from django.http import HttpRequest
from django.utils.text import capfirst

from safety.paginator import BoundedPaginator


class ReadOnlyModelAdmin(admin.ModelAdmin):
    """Takes away everything but the view permission."""

    # Both would count the whole table on every page.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        with _planned_for_its_values():
            title = capfirst(self.opts.verbose_name_plural)
            return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Show all rows where a filter of the URL makes no sense, as Django does for most."""
        try:
            return super().get_changelist_instance(request)
        except (DataError, ValueError, OverflowError) as error:
            raise IncorrectLookupParameters from error


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
