"""The geometry of the dashboard's charts."""

import pytest

from orchestrator_site.console.dashboard.charts import (
    LEAST_HEIGHT,
    PLOT_HEIGHT,
    Column,
    Part,
    Tick,
    bar_width,
    column_chart,
    in_short,
)


def test_columns_are_side_by_side_with_stacked_parts() -> None:
    chart = column_chart([{"accepted": 30, "refused": 10}, {"accepted": 0, "refused": 20}])
    assert chart.columns == (
        Column(0, 50, 6, 38, 25, (Part("accepted", 40, 120), Part("refused", 0, 40))),
        Column(50, 50, 56, 38, 75, (Part("refused", 80, 80),)),
    )
    assert chart.ticks == (
        Tick(160, "0"),
        Tick(120, "10"),
        Tick(80, "20"),
        Tick(40, "30"),
        Tick(0, "40"),
    )


def test_small_parts_are_still_visible() -> None:
    [column] = column_chart([{"accepted": 100_000, "refused": 1}]).columns
    assert [part.height for part in column.parts] == [106.7, LEAST_HEIGHT]


@pytest.mark.parametrize("stacks", [[], [{}], [{"accepted": 0}]])
def test_chart_of_nothing_has_a_scale_and_no_parts(stacks: list[dict[str, int]]) -> None:
    chart = column_chart(stacks)
    assert chart.ticks == (Tick(160, "0"), Tick(0, "1"))
    assert [part for column in chart.columns for part in column.parts] == []


@pytest.mark.parametrize("most", [*range(1, 200), 999, 1_000, 1_001, 33_333, 7_654_321])
def test_scale_covers_the_highest_column_in_few_steps(most: int) -> None:
    chart = column_chart([{"accepted": most}])
    assert 2 <= len(chart.ticks) <= 5
    [column] = chart.columns
    assert PLOT_HEIGHT / 3 < column.parts[0].height <= PLOT_HEIGHT


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (500, "500"), (1_500, "1.5k"), (20_000, "20k"), (3_000_000, "3M")],
)
def test_ticks_are_short(number: int, text: str) -> None:
    assert in_short(number) == text


@pytest.mark.parametrize(
    ("count", "most", "width"), [(0, 0, 0), (0, 5, 0), (5, 5, 100), (1, 3, 33.33), (1, 10_000, 1)]
)
def test_bar_is_as_long_as_its_share(count: int, most: int, width: float) -> None:
    assert bar_width(count, most) == width
