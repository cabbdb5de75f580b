"""The counters in PostgreSQL, added up as `/metrics` does."""

from decimal import Decimal

from django.db.models import Sum

from tasks.models import Count


def counters(name: str) -> dict[tuple[str, ...], Decimal]:
    """Return the value of each series of a counter, by its labels."""
    parts = Count.objects.filter(name=name).values("labels").annotate(total=Sum("value"))
    return {tuple(part["labels"]): part["total"] for part in parts}
