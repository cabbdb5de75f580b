"""The possible meanings of a term in the search box of the console."""

import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

# PostgreSQL refuses words over 2,046 bytes, and a word may grow in lower case. Words beyond this
# limit are ignored, so the search finds more rather than less.
MAX_WORDS_BYTES: Final = 1_000

# PostgreSQL would take an address or a path for one word, and skip text that looks like HTML. These
# characters are replaced by spaces, in goals and in terms.
SEPARATORS: Final = "</.@:"

# The first 8 digits of an id, as the console shows them, up to all 32.
_ID: Final = re.compile(r"[0-9a-f]{8,32}")
# A minus sign without a word: PostgreSQL reads it as NOT, and fails at some thirty in a row.
_MINUS_OF_NOTHING: Final = re.compile(r'-(?![\w"])|-(?="\W*("|$))')
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class SearchTerm:
    """A search term, which may mean several things at once.

    `12345678` may be the beginning of an id, a request id, or a word of a goal.
    """

    text: str

    @property
    def id_range(self) -> tuple[UUID, UUID] | None:
        """The first and the last id with this beginning, in the order of the index."""
        digits = self.text.replace("-", "").lower()
        if not _ID.fullmatch(digits):
            return None
        return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))

    @property
    def request_id(self) -> str | None:
        return self.text if _REQUEST_ID.fullmatch(self.text) else None

    @property
    def words(self) -> str:
        text = self.text.encode(errors="replace")[:MAX_WORDS_BYTES].decode(errors="ignore")
        text = text.translate(dict.fromkeys(map(ord, SEPARATORS), " "))
        return _MINUS_OF_NOTHING.sub(" ", text)
