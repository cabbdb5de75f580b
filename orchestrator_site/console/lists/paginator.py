"""Pagination of lists whose table may have too many rows to count."""

from typing import Final

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

# The console counts and pages up to here. Staff use filters to see further rows.
COUNT_LIMIT: Final = 10_000


class Count(int):
    """A count that is shown with thousands separators."""

    def __str__(self) -> str:
        return f"{int(self):,}"


class AtLeast(Count):
    """A count that was stopped at a limit and is shown with a plus sign."""

    def __str__(self) -> str:
        return f"{super().__str__()}+"


class BoundedPaginator(Paginator):
    """Counts `COUNT_LIMIT` rows at most, and has no page beyond them."""

    object_list: QuerySet

    @cached_property
    def count(self) -> int:
        # Unsorted, and only the ids, since any rows will do for counting.
        count = self.object_list.order_by().values("pk")[: COUNT_LIMIT + 1].count()
        return Count(count) if count <= COUNT_LIMIT else AtLeast(COUNT_LIMIT)
