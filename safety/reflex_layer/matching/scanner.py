"""Find the matches of many Python patterns in one text, in time proportional to its length.

One pass of an RE2 set over the text tells which patterns may match at all. Then RE2 searches
for those few patterns one by one, and Python's own `re` confirms each match and gives its exact
span. RE2 reads the shadow of the text, see `widening`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar

import re2

from .folding import Folded
from .widening import widened

# A set that runs out of memory reports no match at all. To detect this, each set ends with a
# pattern that matches every text.
MEMORY_OF_A_SET_BYTES = 64 * 1024 * 1024
IN_EVERY_TEXT = b""

# If a single pattern runs out of memory, RE2 uses another algorithm, slower by a constant factor.
MEMORY_OF_A_PATTERN_BYTES = 16 * 1024 * 1024

# Each RE2 call reads a window of this many characters, or twice the longest match if that is
# more. Reading the whole rest of the text in each call would take quadratic time if Python
# rejects the matches of a pattern again and again.
SHORTEST_WINDOW = 2048
LARGEST_WINDOW = 1_000_000

UNANCHORED = re2._Anchor.UNANCHORED

# A folded text contains no NUL, so NUL can represent the question mark here.
HIGHEST_BIT = 0x80
MARKED = bytes(HIGHEST_BIT if byte == ord("?") else 0 for byte in range(256))
BYTES_OF_A_CODE = 4


class Rule(Protocol):
    """A pattern to look for, in the text with its case (`cased`) or in lower case."""

    @property
    def pattern(self) -> re.Pattern[str]: ...
    @property
    def cased(self) -> bool: ...


AnyRule = TypeVar("AnyRule", bound=Rule)
Found = tuple[AnyRule, Iterator[re.Match[str]]]


class Scanner(Generic[AnyRule]):
    """Finds the matches of a table of rules; safe to share between threads."""

    def __init__(self, rules: Sequence[AnyRule]) -> None:
        self._rules = [(rule, Search(rule.pattern)) for rule in rules]
        self._sets = {cased: self._set_of(cased) for cased in (False, True)}

    def _set_of(self, cased: bool) -> tuple[re2.Set, list[int]]:
        """Return the RE2 set of the rules with this value of `cased`, and their indexes."""
        indexes = [index for index, (rule, _) in enumerate(self._rules) if rule.cased is cased]
        patterns = re2.Set.SearchSet(options(MEMORY_OF_A_SET_BYTES))
        for index in indexes:
            patterns.Add(self._rules[index][1].source)
        patterns.Add(IN_EVERY_TEXT)
        patterns.Compile()
        return patterns, indexes

    def find(self, folded: Folded) -> Iterator[Found[AnyRule]]:
        """Yield the rules that may match, in the order of the table, each with its matches.

        The matches are those of `rule.pattern.finditer`. There may be no match.
        """
        texts = {False: folded.lower, True: folded.cased}
        shadows = {cased: shadow(text) for cased, text in texts.items()}
        present = sorted(
            index
            for cased, (patterns, indexes) in self._sets.items()
            for index in chosen_by(patterns, shadows[cased], indexes)
        )
        for index in present:
            rule, search = self._rules[index]
            yield rule, search.finditer(texts[rule.cased], shadows[rule.cased])


def chosen_by(patterns: re2.Set, text: bytes, indexes: list[int]) -> list[int]:
    """Return the indexes of the patterns that the set finds, or all indexes if it fails."""
    found = patterns.Match(text) or []
    if len(indexes) not in found:
        return indexes
    return [indexes[number] for number in found if number < len(indexes)]


class Search:
    """The search for one pattern."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._match = pattern.match
        wide = widened(pattern)
        self.source = wide.source
        self._before = int(wide.starts_before)
        self._find = re2.compile(wide.source, options(MEMORY_OF_A_PATTERN_BYTES))._regexp.Match
        longest = min(wide.longest, LARGEST_WINDOW)
        self._window = int(max(SHORTEST_WINDOW, 2 * longest))
        # Every match that begins in this first part of a window also ends in the window.
        self._stride = int(self._window - longest)

    def finditer(self, text: str, under: bytes) -> Iterator[re.Match[str]]:
        """Yield what `pattern.finditer(text)` yields."""
        find, match, before = self._find, self._match, self._before
        size = len(under)
        last_window = size - self._window
        at = 0
        if before and (found := match(text)):
            yield found
            at = max(found.end(), 1) - before
        while at <= size:
            limit = size if at >= last_window else at + self._window
            place = find(UNANCHORED, under, at, limit)[0][0]
            if place < 0 or (place >= at + self._stride and limit < size):
                if limit == size:
                    return
                at += self._stride
                continue
            found = match(text, place + before)
            if found is None:
                at = place + 1
                continue
            yield found
            start, end = found.span()
            # An empty match is a look-ahead, and the next one may begin at the next character.
            at = (end if end > start else start + 1) - before


def options(memory_bytes: int) -> re2.Options:
    chosen = re2.Options()
    chosen.encoding = re2.Options.Encoding.LATIN1
    chosen.max_mem = memory_bytes
    chosen.never_capture = True
    chosen.log_errors = False
    return chosen


def shadow(text: str) -> bytes:
    """Return the shadow of a folded text: the `byte_of` each character."""
    if text.isascii():
        return text.encode()
    marks = text.replace("?", "\0").encode("ascii", "replace").translate(MARKED)
    lowest = text.encode("utf-32-le")[::BYTES_OF_A_CODE]
    both = int.from_bytes(marks, "little") | int.from_bytes(lowest, "little")
    return both.to_bytes(len(marks), "little")
