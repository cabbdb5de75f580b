"""Pagination with a bounded count."""

from typing import Any

import pytest
from django.core.paginator import EmptyPage

from orchestrator_site.console.lists import paginator
from orchestrator_site.console.lists.paginator import BoundedPaginator
from safety.models import Receipt

pytestmark = pytest.mark.django_db


def pages(rows: int) -> BoundedPaginator:
    for _ in range(rows):
        Receipt.objects.create(verdict="safe")
    return BoundedPaginator(Receipt.objects.all(), 2)


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paginator, "COUNT_LIMIT", 4)


@pytest.mark.parametrize("rows", [0, 3, 4])
def test_count_is_exact_up_to_the_limit(rows: int) -> None:
    assert str(pages(rows).count) == str(rows)


@pytest.mark.parametrize("rows", [5, 9])
def test_count_stops_at_the_limit(rows: int) -> None:
    assert str(pages(rows).count) == "4+"


def test_there_is_no_page_beyond_the_limit() -> None:
    paginated = pages(9)
    assert [len(page.object_list) for page in paginated] == [2, 2]
    with pytest.raises(EmptyPage):
        paginated.page(3)


def test_count_reads_no_more_rows_than_it_reports(django_assert_num_queries: Any) -> None:
    paginated = pages(9)
    with django_assert_num_queries(1) as queries:
        assert paginated.count == 4
    [query] = queries
    assert "LIMIT 5" in query["sql"]
    assert "ORDER BY" not in query["sql"]
