"""Rows of a criterion, a result, and the verdict of the forms on them."""

from typing import Any, Final

import pytest

from tasks.arms.forms import CriterionVerdict

MET, NOT_MET, UNDECIDED = CriterionVerdict
# A slow machine may take a second for what takes a tenth; quadratic time would be minutes.
GENEROUS_SECONDS: Final = 5

Row = tuple[str, Any, CriterionVerdict]


def rows(*table: Row) -> pytest.MarkDecorator:
    """Make a test for each row, named by its place, because criteria repeat."""
    return pytest.mark.parametrize(
        ("criterion", "result", "verdict"), table, ids=[f"row{n}" for n in range(len(table))]
    )
