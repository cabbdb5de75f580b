"""What staff may mean by what they type into the search box."""

import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

# PostgreSQL refuses words over 2,046 bytes, also where they grow in lower case. Words beyond
# these bytes are left out, which finds more rather than less.
MAX_WORDS_BYTES: Final = 1_000

# PostgreSQL would take addresses, paths and the like for one word each, and skip what looks like
# HTML. Where these stand it sees a space, in goals as in terms.
SEPARATORS: Final = "</.@:"

# The first 8 digits of an id, which the console shows, up to all of them.
_ID: Final = re.compile(r"[0-9a-f]{8,32}")
# PostgreSQL takes it for a NOT, and fails where some thirty of them follow each other.
_MINUS_OF_NOTHING: Final = re.compile(r'-(?![\w"])|-(?="\W*("|$))')
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class SearchTerm:
    """A term as typed in; it may mean several things at once.

    `12345678` may begin an id, be a request id, and stand in a goal.
    """

    text: str

    @property
    def id_range(self) -> tuple[UUID, UUID] | None:
        """The first and the last id that begin so, in the order of the index."""
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
