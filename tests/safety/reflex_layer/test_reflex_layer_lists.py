"""Long lists of texts: with findings, without findings, and attacks that are often found."""

import re
from typing import Any

import pytest

from safety.policy import Policy
from safety.reflex_layer.findings import Severity
from safety.reflex_layer.screening import screen

from .lists import lines_of, rows_of

BLOCKS_FROM = Severity[Policy().injection_blocks_from.name.capitalize()]
FEWEST_GOALS = 300
FEWEST_FOUND = 0.8

ATTACKS = rows_of("attacks.txt")
LANGUAGES = sorted({language for _, language, _ in ATTACKS})


def refused_for(text: str) -> list[dict[str, Any]]:
    """Return the findings for which the default policy refuses a text."""
    answer = screen(text)
    severe = [m for m in answer["injection_matches"] if Severity[m["severity"]] >= BLOCKS_FROM]
    return [*answer["pii_matches"], *severe]


def test_the_list_of_ordinary_goals_is_long_and_has_no_duplicates() -> None:
    goals = lines_of("ordinary_goals.txt")

    assert len(set(goals)) == len(goals) >= FEWEST_GOALS


@pytest.mark.parametrize("goal", lines_of("ordinary_goals.txt"))
def test_ordinary_goal_is_not_refused(goal: str) -> None:
    assert refused_for(goal) == []


@pytest.mark.parametrize("text", lines_of("ordinary_numbers.txt"))
def test_ordinary_number_is_not_personal_data(text: str) -> None:
    assert screen(text)["pii_matches"] == []


# The personal data is between the marks.
@pytest.mark.parametrize(("pii_type", "marked"), rows_of("personal_data.txt"))
def test_personal_data_of_many_countries_is_found_whole(pii_type: str, marked: str) -> None:
    expected = [(pii_type, value) for value in re.findall("⟦(.*?)⟧", marked)]

    matches = screen(re.sub("[⟦⟧]", "", marked))["pii_matches"]

    assert [(m["pii_type"], m["matched_text"]) for m in matches] == expected


@pytest.mark.parametrize(("family", "language", "text"), rows_of("attacks_known.txt"))
def test_known_attack_is_refused(family: str, language: str, text: str) -> None:
    assert refused_for(text), f"{family}, {language}"


# This list was written before the patterns, and the patterns were never fitted to single lines of
# it. So the share that is found is an estimate for new phrases.
def test_most_unknown_attacks_are_refused() -> None:
    found = [bool(refused_for(text)) for _, _, text in ATTACKS]

    assert sum(found) / len(found) >= FEWEST_FOUND


@pytest.mark.parametrize("language", LANGUAGES)
def test_at_least_half_of_the_unknown_attacks_of_each_language_are_refused(language: str) -> None:
    found = [
        bool(refused_for(text)) for _, its_language, text in ATTACKS if its_language == language
    ]

    assert sum(found) / len(found) >= 0.5
