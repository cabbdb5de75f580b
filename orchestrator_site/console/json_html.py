"""JSON values as foldable HTML; copied from the page, they are valid JSON again."""

import json
from typing import Any, Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

# Deeper values, and larger documents, are shown as plain text that does not fold.
MAX_DEPTH: Final = 20
MAX_FOLDED_CHARACTERS: Final = 100_000
# Longer lists and objects inside others start folded.
MAX_OPEN_ENTRIES: Final = 20


def json_html(value: Any) -> str:
    """Return `value` on separate lines, with foldable lists and objects."""
    text = _text(value)
    if len(text) > MAX_FOLDED_CHARACTERS:
        return format_html(
            '<details class="json"><summary>{} characters</summary><pre>{}</pre></details>',
            f"{len(text):,}",
            text,
        )
    return format_html('<div class="json">{}</div>', _node(SafeString(), value, SafeString(), 0))


def _node(key: SafeString, value: Any, comma: SafeString, depth: int) -> SafeString:
    """Return `value` with its key before it and its comma after it; either may be empty."""
    if not isinstance(value, list | dict) or not value or depth == MAX_DEPTH:
        return format_html("<div>{}{}{}</div>", key, _text(value), comma)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    is_open = depth == 0 or len(value) <= MAX_OPEN_ENTRIES
    return format_html(
        '<details{}><summary data-folded="{} {}">{}{}</summary><div class="json-entries">{}</div>'
        "{}{}</details>",
        SafeString(" open" if is_open else ""),
        entries(len(value)),
        closing,
        key,
        opening,
        _children(value, depth + 1),
        closing,
        comma,
    )


def _children(value: Any, depth: int) -> SafeString:
    if isinstance(value, dict):
        nodes = [(format_html("{}: ", _text(key)), inner) for key, inner in value.items()]
    else:
        nodes = [(SafeString(), inner) for inner in value]
    commas = [SafeString(",")] * (len(nodes) - 1) + [SafeString()]
    return format_html_join(
        "",
        "{}",
        (
            [_node(key, inner, comma, depth)]
            for (key, inner), comma in zip(nodes, commas, strict=True)
        ),
    )


def _text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"
