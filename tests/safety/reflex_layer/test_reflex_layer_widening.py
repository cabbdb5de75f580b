"""Patterns of every form, on texts that show the differences between them."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety.reflex_layer.matching.folding import fold
from safety.reflex_layer.matching.scanner import Search, shadow
from safety.reflex_layer.matching.widening import byte_of, widened

TEXTS = st.text("abAB01 _-.?\n\tßéжK\u200b😀", max_size=40).map(lambda text: fold(text).cased)

PATTERNS = [
    re.compile("ab"),
    re.compile("a|b0|é"),
    re.compile("[^a]"),
    re.compile("[^a-zé]b"),
    re.compile(r"\w+"),
    re.compile(r"\w+", re.ASCII),
    re.compile(r"\W\w", re.ASCII),
    re.compile(r"\S\s"),
    re.compile(r"\D\d"),
    re.compile("."),
    re.compile(".", re.DOTALL),
    re.compile("b.a", re.IGNORECASE),
    re.compile("(?i:b)a"),
    re.compile("k[^k]", re.IGNORECASE),
    re.compile("^a"),
    re.compile("^a", re.MULTILINE),
    re.compile(r"\Aa"),
    re.compile("a$"),
    re.compile("a$", re.MULTILINE),
    re.compile(r"a\Z"),
    re.compile(r"\ba"),
    re.compile(r"\bé"),
    re.compile(r"a\b", re.ASCII),
    re.compile(r"a\B"),
    re.compile(r"(?<![a-z])a"),
    re.compile(r"(?<!\w)b"),
    re.compile(r"(?<!\w)b", re.ASCII),
    re.compile(r"(?<![ab]0)1"),
    re.compile(r"(?<=a)b"),
    re.compile(r"((?<!a)b)0"),
    re.compile(r"((?<!a)b|a)0"),
    re.compile(r"b(?![a-z])"),
    re.compile(r"b(?!\w|\.0)"),
    re.compile(r"b(?!\w|\.0)a?"),
    re.compile(r"b(?!a)."),
    re.compile(r"(b(?!a)|a)"),
    re.compile(r"a(?=b)"),
    re.compile(r"(?=a)[ab]{2}"),
    re.compile(r"(?<!b)(?=(?P<v>[ab]{2}))"),
    re.compile(r"(?<!b)(?=(?P<v>[ab]{2})(?!0))"),
    re.compile(r"(a|b)\1"),
    re.compile(r"([01])(a|b)?\1"),
    re.compile("a{2}"),
    re.compile("a{0,3}b"),
    re.compile("[ab]{2,20}"),
    re.compile("[ab]{2,20}?0"),
    re.compile("(?:a ?){1,12}b"),
    re.compile("(?>a+)b"),
    re.compile("a++b"),
    re.compile("é+"),
    re.compile("[é-ж]b"),
    re.compile("[^\x00-\x7f]"),
]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.pattern)
@given(text=TEXTS)
@settings(deadline=None)
def test_a_search_finds_what_the_pattern_finds(pattern: "re.Pattern[str]", text: str) -> None:
    found = [match.span() for match in Search(pattern).finditer(text, shadow(text))]

    assert found == [match.span() for match in pattern.finditer(text)]


@pytest.mark.parametrize("source", ["(a)?(?(1)b|c)", "(?i:é)"])
def test_a_pattern_that_cannot_be_converted_is_an_error(source: str) -> None:
    with pytest.raises(NotImplementedError):
        widened(re.compile(source))


@given(st.text())
@settings(deadline=None)
def test_the_shadow_has_the_byte_of_each_character(text: str) -> None:
    folded = fold(text).cased

    assert list(shadow(folded)) == [byte_of(ord(character)) for character in folded]
