"""Random JSON values, and their texts in order."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

# Characters of one to four bytes, and combining characters.
TEXT = st.text(max_size=12) | st.text("aé€😀\u0301\u200d\n: ", max_size=12)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)
FIELDS = st.fixed_dictionaries(
    {"goal": TEXT, "constraints": st.lists(TEXT, max_size=3), "context": JSON}
)


def texts_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *texts_of(item))]
    if isinstance(value, list):
        return [text for item in value for text in texts_of(item)]
    if isinstance(value, str):
        return [value]
    if value is None or isinstance(value, bool):
        return []
    return [f"{Decimal(repr(value)):f}"]
