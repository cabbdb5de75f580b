"""Pages of a list whose table may be too long to be counted."""

from typing import Final

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

# The console counts up to here, and turns pages up to here; beyond it, filters lead on.
COUNT_LIMIT: Final = 10_000


class Count(int):
    """A count that reads as the console writes numbers."""

    def __str__(self) -> str:
        return f"{int(self):,}"


class AtLeast(Count):
    """A count that was given up: so many, and more."""

    def __str__(self) -> str:
        return f"{super().__str__()}+"


class BoundedPaginator(Paginator):
    """Counts `COUNT_LIMIT` rows at most, and has no page beyond them."""

    object_list: QuerySet

    @cached_property
    def count(self) -> int:
        # In no order, and nothing but their ids: any rows are enough to be counted.
        count = self.object_list.order_by().values("pk")[: COUNT_LIMIT + 1].count()
        return Count(count) if count <= COUNT_LIMIT else AtLeast(COUNT_LIMIT)
