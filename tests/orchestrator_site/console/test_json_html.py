"""JSON as foldable HTML."""

import json
import re
from html import unescape
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_site.console.json_html import (
    MAX_DEPTH,
    MAX_FOLDED_CHARACTERS,
    MAX_OPEN_ENTRIES,
    json_html,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def copied(html: str) -> Any:
    """Return the value whose JSON a user copies from the page."""
    return json.loads(unescape(re.sub(r"<[^>]*>", "", html)))


@given(JSON)
@settings(deadline=None)
def test_copied_text_is_the_value(value: Any) -> None:
    assert copied(json_html(value)) == value


def test_lists_and_objects_fold_and_say_how_long_they_are() -> None:
    html = json_html({"names": ["a", "b"], "one": {"x": 1}, "empty": []})
    assert re.findall(r'<details open><summary data-folded="([^"]*)">([^<]*)</summary>', html) == [
        ("3 entries }", "{"),
        ("2 entries ]", "&quot;names&quot;: ["),
        ("1 entry }", "&quot;one&quot;: {"),
    ]
    assert "<div>&quot;empty&quot;: []</div>" in html


@pytest.mark.parametrize(
    ("count", "open_details"), [(MAX_OPEN_ENTRIES, 2), (MAX_OPEN_ENTRIES + 1, 1)]
)
def test_long_inner_lists_start_folded(count: int, open_details: int) -> None:
    html = json_html([[*range(count)]])
    assert html.count("<details") == 2
    assert html.count("<details open") == open_details


def test_values_are_escaped() -> None:
    html = json_html({'"><script>': '</div><img src=x onerror="alert(1)">'})
    assert "<script" not in html
    assert "<img" not in html
    assert copied(html) == {'"><script>': '</div><img src=x onerror="alert(1)">'}


def test_deeply_nested_values_are_text() -> None:
    value: Any = "bottom"
    for _ in range(200):
        value = [value]
    html = json_html(value)
    assert html.count("<details") == MAX_DEPTH
    assert copied(html) == value


def test_large_values_are_one_folded_text() -> None:
    value = ["x" * 10] * (MAX_FOLDED_CHARACTERS // 10)
    html = json_html(value)
    assert html.count("<details") == 1
    assert "open" not in html
    [text] = re.findall(r"<pre>(.*)</pre>", html, re.DOTALL)
    assert copied(text) == value
