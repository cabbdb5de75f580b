"""Convert a Python pattern to an RE2 pattern that matches wherever the Python pattern does.

RE2 has no look-around and no backreferences, and counts repetitions slowly. These parts are left
out or made wider here, never narrower: the RE2 pattern may match in more places, and the Python
pattern then confirms or rejects each of them. RE2 reads the shadow of a text, which has one byte
for each character: an ASCII character itself, or a byte beyond ASCII that many characters share.
"""

import importlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, reduce
from typing import Any

# The parser of `re` itself, because another parser might interpret a pattern differently.
_parser = importlib.import_module("re._parser")

# Longer repetitions become unlimited ones, because each further count multiplies RE2's states.
LONGEST_COUNT = 8

ASCII = frozenset(range(0x80))
BEYOND_ASCII = frozenset(range(0x80, 0x100))
LAST_CODE = 0x10FFFF
NEWLINE = ord("\n")


@dataclass(frozen=True, slots=True)
class Widened:
    """A pattern for RE2 in Latin-1, and its relation to the Python pattern.

    Attributes:
        source: matches wherever the Python pattern does.
        longest: the largest number of characters in a match of `source` that the Python
            pattern confirms.
        starts_before: whether `source` begins with the character before the match, unless
            the match begins the text.
    """

    source: bytes
    longest: float
    starts_before: bool


def widened(pattern: re.Pattern[str]) -> Widened:
    """Return the RE2 pattern for a Python pattern, or raise NotImplementedError."""
    translation = _Translation()
    tree = _parser.parse(pattern.pattern, pattern.flags)
    source, longest = translation.sequence(tree, pattern.flags, is_first=True, is_last=True)
    return Widened(source.encode("latin-1"), longest, translation.starts_before)


class _Translation:
    """One walk through the tree of a pattern.

    Only the start of a match matters, so repetitions are lazy and the shortest branch comes
    first: RE2 then stops at the first possible end.

    Each method returns the source of a part and the largest number of characters it matches.
    """

    def __init__(self) -> None:
        self.starts_before = False
        self.groups: dict[int, tuple[str, float]] = {}

    def sequence(
        self, nodes: Any, flags: int, *, is_first: bool = False, is_last: bool = False
    ) -> tuple[str, float]:
        last = len(nodes) - 1
        parts = [
            self.node(node, flags, is_first and place == 0, is_last and place == last)
            for place, node in enumerate(nodes)
        ]
        return "".join(source for source, _ in parts), sum(width for _, width in parts)

    def node(self, node: Any, flags: int, is_first: bool, is_last: bool) -> tuple[str, float]:
        operation, value = str(node[0]), node[1]
        if operation in OF_ONE_CHARACTER:
            return one_of(operation, tuple(value) if operation == "IN" else value, flags), 1
        if operation == "SUBPATTERN":
            group, added, removed, content = value
            flags = (flags | added) & ~removed
            source, width = self.sequence(content, flags, is_first=is_first, is_last=is_last)
            self.groups[group] = f"(?:{source})", width
            return self.groups[group]
        if operation == "BRANCH":
            branches = sorted(value[1], key=lambda branch: branch.getwidth())
            parts = [self.sequence(branch, flags, is_last=is_last) for branch in branches]
            return f"(?:{'|'.join(part for part, _ in parts)})", max(width for _, width in parts)
        if operation in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
            least, most, content = value
            source, width = self.sequence(content, flags)
            return f"(?:{source}){count(least, most)}", width * most
        if operation == "ATOMIC_GROUP":
            return self.sequence(value, flags)
        if operation == "GROUPREF":
            return self.groups[value]
        return self.assertion(operation, value, flags, is_first, is_last)

    def assertion(
        self, operation: str, value: Any, flags: int, is_first: bool, is_last: bool
    ) -> tuple[str, float]:
        """Translate a part of no width; at an end of the pattern, its translation may have one."""
        if operation == "AT":
            return position(str(value), flags), 0
        if operation not in {"ASSERT", "ASSERT_NOT"}:
            raise NotImplementedError(f"RE2 has no equivalent of {operation}.")
        direction, content = value
        if operation == "ASSERT_NOT" and direction < 0 and is_first:
            self.starts_before = True
            return neighbour(content, flags, r"\A"), 1
        if operation == "ASSERT_NOT" and direction > 0 and is_last:
            return neighbour(content, flags, r"\z"), 1
        if operation == "ASSERT" and direction > 0 and is_last:
            return self.sequence(content, flags, is_last=True)
        return "", 0


OF_ONE_CHARACTER = {"LITERAL", "NOT_LITERAL", "ANY", "IN"}


def count(least: int, most: int) -> str:
    if most <= LONGEST_COUNT or least == most:
        return f"{{{least},{most}}}?"
    return f"{{{least},}}?"


def position(name: str, flags: int) -> str:
    """Return an anchor that matches wherever Python's anchor does."""
    if name == "AT_BEGINNING":
        return r"(?m:^)" if flags & re.MULTILINE else r"\A"
    if name == "AT_END":
        return r"(?m:$)"
    if name == "AT_BEGINNING_STRING":
        return r"\A"
    if name == "AT_END_STRING":
        return r"\z"
    # The shadow does not show whether a character beyond ASCII is part of a word.
    return r"\b" if name == "AT_BOUNDARY" and flags & re.ASCII else ""


def neighbour(content: Any, flags: int, edge: str) -> str:
    """Return a pattern for the edge, or for a character that `content` does not always match."""
    branches = content[0][1][1] if is_only(content, "BRANCH") else [content]
    allowed = ASCII | BEYOND_ASCII
    for branch in branches:
        if len(branch) == 1 and str(branch[0][0]) in OF_ONE_CHARACTER:
            allowed -= characters(branch[0], flags).certain
    return f"(?:{byte_class(allowed)}|{edge})"


def is_only(content: Any, operation: str) -> bool:
    return len(content) == 1 and str(content[0][0]) == operation


@dataclass(frozen=True, slots=True)
class Characters:
    """The characters that a node matches, as bytes of the shadow.

    Attributes:
        possible: the bytes that stand for at least one matching character.
        certain: the bytes that stand for matching characters only.
    """

    possible: frozenset[int]
    certain: frozenset[int]

    def __or__(self, other: "Characters") -> "Characters":
        return Characters(self.possible | other.possible, self.certain | other.certain)

    def __invert__(self) -> "Characters":
        everything = ASCII | BEYOND_ASCII
        return Characters(everything - self.certain, everything - self.possible)


NOTHING = Characters(frozenset(), frozenset())


def characters(node: Any, flags: int) -> Characters:
    """Return the characters that a node for one character matches."""
    operation, value = node
    match str(operation):
        case "LITERAL":
            return code_range(value, value, flags)
        case "NOT_LITERAL":
            return ~code_range(value, value, flags)
        case "ANY":
            return ~(NOTHING if flags & re.DOTALL else code_range(NEWLINE, NEWLINE, 0))
        case "RANGE":
            first, last = value
            return code_range(first, last, flags)
        case "CATEGORY":
            return category(CATEGORIES[str(value)], flags)
        case "IN":
            is_negated = str(value[0][0]) == "NEGATE"
            parts = (characters(part, flags) for part in value[is_negated:])
            whole = reduce(Characters.__or__, parts, NOTHING)
            return ~whole if is_negated else whole
    raise NotImplementedError(f"{operation} is not a character class.")


CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}


@lru_cache
def category(escape: str, flags: int) -> Characters:
    pattern = re.compile(escape, flags & re.ASCII)
    codes = frozenset(code for code in ASCII if pattern.match(chr(code)))
    if not flags & re.ASCII:
        return Characters(codes | BEYOND_ASCII, codes)
    others = BEYOND_ASCII if escape.isupper() else frozenset()
    return Characters(codes | others, codes | others)


@lru_cache
def code_range(first: int, last: int, flags: int) -> Characters:
    codes = ASCII.intersection(range(first, last + 1))
    others = range(max(first, min(BEYOND_ASCII)), last + 1)
    if flags & re.IGNORECASE:
        return without_case(codes, others)
    are_all = len(others) > LAST_CODE - len(ASCII)
    return Characters(
        codes | {byte_of(code) for code in others[: len(BEYOND_ASCII)]},
        codes | (BEYOND_ASCII if are_all else frozenset()),
    )


def without_case(codes: frozenset[int], others: Sequence[int]) -> Characters:
    if others:
        raise NotImplementedError("Only ASCII characters can be matched without case.")
    cased = {chr(code) for code in codes}
    codes |= {ord(case(letter)) for letter in cased for case in (str.lower, str.upper)}
    # Without case, the Kelvin sign matches "k" and the long s matches "s".
    also = {byte_of(ord(sign)) for sign in "\u212a\u017f\u0130\u0131"}
    return Characters(codes | also, codes)


def byte_of(code: int) -> int:
    """Return the byte that stands for a character in the shadow of a text."""
    return code if code in ASCII else min(BEYOND_ASCII) | code & max(ASCII)


@cache
def one_of(operation: str, value: Any, flags: int) -> str:
    """Return the class of a node. The cache helps, because the tables repeat a few of them."""
    return byte_class(characters((operation, value), flags).possible)


def byte_class(codes: Iterable[int]) -> str:
    """Return the RE2 character class of these bytes."""
    ordered = sorted(codes)
    if not ordered:
        # Matches no byte.
        return r"[^\x00-\xff]"
    if len(ordered) == 1 and chr(ordered[0]).isalnum():
        return chr(ordered[0])
    spans: list[list[int]] = []
    for code in ordered:
        if spans and code == spans[-1][1] + 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    return "[" + "".join(rf"\x{first:02x}-\x{last:02x}" for first, last in spans) + "]"
