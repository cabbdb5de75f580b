"""What the console's pages have in common: everything to see, nothing to change."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import DataError
from django.http import HttpRequest


class ReadOnly:
    """Takes away everything but the view permission."""

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False


class ReadOnlyModelAdmin(ReadOnly, admin.ModelAdmin):
    # Both would count the whole table on every page.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Show all rows where a filter of the URL makes no sense, as Django does for most."""
        try:
            return super().get_changelist_instance(request)
        except (DataError, ValueError, OverflowError) as error:
            raise IncorrectLookupParameters from error
