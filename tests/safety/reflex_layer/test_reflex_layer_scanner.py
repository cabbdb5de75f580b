"""The scanner with RE2 finds the same matches as the Python patterns, in any text."""

import random
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from safety.reflex_layer.findings import Finding
from safety.reflex_layer.injection.detection import CONFIDENCE, DISGUISES, find_plain
from safety.reflex_layer.injection.rules import RULES as INJECTION_RULES
from safety.reflex_layer.matching import scanner
from safety.reflex_layer.matching.folding import Folded, fold
from safety.reflex_layer.matching.scanner import Scanner, shadow
from safety.reflex_layer.pii import detection as pii
from tests.safety.reflex_layer.texts import ALPHABETS, FOUND, HOSTILE, PROSE, costly

Spans = dict[int, list[tuple[int, int]]]

TABLES = {"pii": pii.RULES, "injection": INJECTION_RULES, "disguises": DISGUISES}
SCANNERS = {name: Scanner(rules) for name, rules in TABLES.items()}

LAST, FEW_RARE = "\U0010ffff", "\U000100ff"
TEXTS = 1500
LONG_TEXTS = 6
PIECES = [
    *FOUND,
    *HOSTILE,
    *PROSE.split(),
    *" ".join(FOUND).split(),
    *" \n\t.,:;-_/\\'\"()[]{}<>@#+*=?!|$%&~^`",
    *"äß éžøñ ключ пароль 密码 カード ✓ ½ ﬁ İ ſ K ａ１".split(),
    *"\u200b\u0301\u00a0\u2003\u2028\x00\x1c",
    *(" " * 10),
]


def random_text(generator: random.Random, pieces: int) -> str:
    """Return a random text of pieces with findings, some of them cut off or in another case."""
    parts = []
    for _ in range(pieces):
        piece = generator.choice(PIECES)
        if generator.random() < 0.2:
            piece = piece[generator.randrange(len(piece) + 1) :]
        if generator.random() < 0.1:
            piece = generator.choice(list(ALPHABETS.values()))[: generator.randrange(30)]
        parts.append(generator.choice([piece, piece, piece, piece.upper(), piece.title()]))
        parts.append(generator.choice(["", "", " ", " ", "\n", ", "]))
    return "".join(parts)


def corpus() -> list[str]:
    generator = random.Random(11)
    short = [random_text(generator, generator.randrange(1, 30)) for _ in range(TEXTS)]
    # The long texts are longer than the windows of the scanner.
    return short + [random_text(generator, 1000) for _ in range(LONG_TEXTS)]


CORPUS = corpus()
DENSE = dict(costly(6000))


def by_python(rules: Sequence[scanner.Rule], folded: Folded) -> Spans:
    """Run every pattern over the whole text."""
    spans = {
        index: [
            match.span()
            for match in rule.pattern.finditer(folded.cased if rule.cased else folded.lower)
        ]
        for index, rule in enumerate(rules)
    }
    return {index: places for index, places in spans.items() if places}


def by_scanner(name: str, folded: Folded) -> Spans:
    indexes = {id(rule): index for index, rule in enumerate(TABLES[name])}
    spans = {
        indexes[id(rule)]: [match.span() for match in matches]
        for rule, matches in SCANNERS[name].find(folded)
    }
    return {index: places for index, places in spans.items() if places}


@pytest.mark.parametrize("name", TABLES)
def test_random_texts_have_the_matches_that_python_finds(name: str) -> None:
    found = set()
    for text in CORPUS:
        folded = fold(text)
        expected = by_python(TABLES[name], folded)
        assert by_scanner(name, folded) == expected, text
        found |= expected.keys()
    # The comparison proves something only if most rules had matches.
    assert len(found) > len(TABLES[name]) / 2


@lru_cache(maxsize=1)
def texts_of(pattern: re.Pattern[str]) -> st.SearchStrategy[str]:
    """Return texts that a pattern matches, from a limited range of rare characters.

    Hypothesis would take half a minute to list the million characters of an e-mail address.
    """
    return st.from_regex(re.compile(pattern.pattern.replace(LAST, FEW_RARE), pattern.flags))


@pytest.mark.parametrize(
    ("name", "index"), [(name, index) for name in TABLES for index in range(len(TABLES[name]))]
)
@given(data=st.data())
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_texts_made_of_a_pattern_have_the_matches_that_python_finds(
    name: str, index: int, data: st.DataObject
) -> None:
    made = data.draw(texts_of(TABLES[name][index].pattern))
    around = data.draw(st.sampled_from(["{}", "{0}{0}", "x{}x", " {} ", "é{}é", "{0}, {0}\n{0}"]))
    folded = fold(around.replace("{}", "{0}").replace("{0}", made))

    assert by_scanner(name, folded) == by_python(TABLES[name], folded)


@pytest.mark.parametrize("text", DENSE.values(), ids=DENSE)
def test_costly_texts_have_the_matches_that_python_finds(text: str) -> None:
    folded = fold(text)
    for name, rules in TABLES.items():
        assert by_scanner(name, folded) == by_python(rules, folded)


def plain_pii(folded: Folded) -> list[Finding]:
    """Find personal data in the simplest way: rule by rule and match by match."""
    links = {at for link in pii.LINK.finditer(folded.lower) for at in range(*link.span())}
    claimed: set[int] = set()
    found = []
    for rule in pii.RULES:
        for match in rule.pattern.finditer(folded.cased if rule.cased else folded.lower):
            start, end = match.span("v")
            if claimed.issuperset(range(start, end)) or (start in links and not rule.in_links):
                continue
            if rule.check is None or rule.check(match):
                claimed.update(range(start, end))
                found.append(Finding(rule.type, start, end, rule.confidence))
    return found


def test_random_texts_have_the_personal_data_that_a_plain_search_finds() -> None:
    texts = CORPUS[:TEXTS]
    found = [list(pii.find_pii(fold(text))) for text in texts]

    assert found == [plain_pii(fold(text)) for text in texts]
    assert sum(map(len, found)) > TEXTS


def test_random_texts_have_the_injections_that_a_plain_search_finds() -> None:
    texts = CORPUS[:TEXTS]
    found = [list(find_plain(fold(text))) for text in texts]

    assert found == [
        [
            Finding(
                rule.type,
                *match.span(),
                CONFIDENCE[rule.severity],
                rule.severity,
                rule.name,
            )
            for rule in INJECTION_RULES
            for match in rule.pattern.finditer(folded.cased if rule.cased else folded.lower)
        ]
        for folded in map(fold, texts)
    ]
    assert sum(map(len, found)) > TEXTS / 4


class OutOfMemory:
    """A set that has run out of memory, which never happens with the real tables."""

    def Match(self, _text: bytes) -> None:  # noqa: N802
        return None


def test_a_set_that_runs_out_of_memory_hides_no_match() -> None:
    patterns, indexes = SCANNERS["pii"]._sets[False]
    text = shadow(fold("jane@example.com").lower)

    assert len(scanner.chosen_by(patterns, text, indexes)) < len(indexes)
    assert scanner.chosen_by(OutOfMemory(), text, indexes) == indexes


def test_a_rule_yields_at_most_a_hundred_injections() -> None:
    folded = fold("[INST] " * 300)

    assert len(list(find_plain(folded))) == 100
    assert list(find_plain(folded)) == list(islice(find_plain(folded), 100))
