"""Reading the verdicts of judges, which may be anything.

Verdicts are `{"verdicts": [{"criterion", "verdict", "evidence", "confidence"}]}`, one for each
criterion that was asked for, numbered from 1 in that order. A criterion without exactly one verdict
that can be read is undecided. Verdicts on anything else are ignored.
"""

import re
from collections import Counter
from typing import Any, Final

from tasks.arms import reading
from tasks.arms.forms import CriterionVerdict

MAX_EVIDENCE_CHARACTERS: Final = 300
# An answer may have tens of thousands, and each is compared with each criterion.
MAX_ISSUES: Final = 1_000
# A verdict may lack these; a value of another kind shows that it means something else.
_DEFAULTS: Final[dict[str, Any]] = {"evidence": "", "confidence": reading.UNKNOWN_CONFIDENCE}
# PostgreSQL cannot store U+0000 and lone surrogates; other control characters change terminals.
_UNSUITABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# What the strict mode of model servers allows: all fields are required, and there are no bounds.
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "verdicts": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "criterion": {"type": "integer"},
                    "verdict": {"type": "string", "enum": [one.value for one in CriterionVerdict]},
                    "evidence": {"type": "string"},
                    "confidence": {"type": "number"},
                },
                "required": ["criterion", "verdict", "evidence", "confidence"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["verdicts"],
    "additionalProperties": False,
}


# Verdicts by the number of the criterion


def verdicts_by_number(document: object, count: int) -> dict[str, list[Any]]:
    """Return the verdicts of a document of `SCHEMA` on `count` criteria."""
    entries = document.get("verdicts") if isinstance(document, dict) else None
    found: dict[int, list[dict[str, Any]]] = {}
    for entry in entries if isinstance(entries, list) else ():
        number = entry.get("criterion") if isinstance(entry, dict) else None
        # True is an int, too.
        if type(number) is int:
            found.setdefault(number, []).append(entry)
    return {
        "verdicts": [_only_verdict(number, found.get(number, [])) for number in range(1, count + 1)]
    }


def _only_verdict(number: int, entries: list[dict[str, Any]]) -> dict[str, Any]:
    if len(entries) != 1:
        return _undecided(number)
    entry = _DEFAULTS | {name: value for name, value in entries[0].items() if value is not None}
    is_readable = (
        # A list, as the value may be unhashable.
        entry.get("verdict") in [*CriterionVerdict]
        and isinstance(entry["evidence"], str)
        and reading.is_confidence(entry["confidence"])
    )
    if not is_readable:
        return _undecided(number)
    return _entry(
        number, CriterionVerdict(entry["verdict"]), entry["evidence"], float(entry["confidence"])
    )


# Verdicts by the text of the criterion


def verdicts_by_text(fields: dict[str, Any], criteria: list[str]) -> dict[str, list[Any]]:
    """Return the verdicts of an `octollm` answer on criteria."""
    confidence = reading.confidence(fields.get("confidence"))
    verdicts = _verdicts_on({criterion.strip() for criterion in criteria}, fields)
    evidence = _evidence(fields.get("issues"), verdicts)
    return {
        "verdicts": [
            _entry(number, verdicts[text], evidence.get(text, ""), confidence)
            for number, text in enumerate((one.strip() for one in criteria), start=1)
        ]
    }


def _verdicts_on(texts: set[str], fields: dict[str, Any]) -> dict[str, CriterionVerdict]:
    undecided = dict.fromkeys(texts, CriterionVerdict.UNDECIDED)
    passed, failed = (_texts(fields.get(name)) for name in ("passed_criteria", "failed_criteria"))
    # A list that cannot be read may contradict the other one.
    if passed is None or failed is None:
        return undecided
    verdicts = undecided.copy()
    for text, mentions in Counter([*passed, *failed]).items():
        if text in texts and mentions == 1:
            verdicts[text] = CriterionVerdict.MET if text in passed else CriterionVerdict.NOT_MET
    is_said_invalid = fields.get("valid") not in (None, True)
    if is_said_invalid and {*verdicts.values()} == {CriterionVerdict.MET}:
        return undecided
    return verdicts


def _texts(values: object) -> list[str] | None:
    """Return the texts of a list, an empty one if it is missing, or None if it is no list."""
    if values is None:
        return []
    if not isinstance(values, list):
        return None
    return [value.strip() for value in values if isinstance(value, str)]


def _evidence(issues: object, verdicts: dict[str, CriterionVerdict]) -> dict[str, str]:
    """Return the message of an issue for each text of a decided criterion that has one."""
    readable = [
        issue
        for issue in (issues if isinstance(issues, list) else ())
        if isinstance(issue, dict) and isinstance(issue.get("message"), str)
    ]
    evidence = {}
    for text, verdict in verdicts.items():
        if verdict is not CriterionVerdict.UNDECIDED:
            naming = (issue for issue in readable[:MAX_ISSUES] if _names(issue, text))
            evidence[text] = next(naming, {"message": ""})["message"]
    failed = [text for text, verdict in verdicts.items() if verdict is CriterionVerdict.NOT_MET]
    errors = [issue["message"] for issue in readable if issue.get("severity") == "error"]
    if len(failed) == len(errors) == 1:
        evidence[failed[0]] = evidence[failed[0]] or errors[0]
    return evidence


def _names(issue: dict[str, Any], text: str) -> bool:
    places = (issue.get(name) for name in ("location", "type", "message"))
    # Every text contains the empty one.
    return text != "" and any(isinstance(place, str) and text in place for place in places)


# Both


def _undecided(number: int) -> dict[str, Any]:
    return _entry(number, CriterionVerdict.UNDECIDED, "", reading.UNKNOWN_CONFIDENCE)


def _entry(
    number: int, verdict: CriterionVerdict, evidence: str, confidence: float
) -> dict[str, Any]:
    return {
        "criterion": number,
        "verdict": verdict.value,
        "evidence": _line(evidence),
        "confidence": confidence,
    }


def _line(text: str) -> str:
    """Return the text as one line of limited length that can be stored."""
    line = " ".join(_UNSUITABLE.sub(" ", text).split())
    if len(line) <= MAX_EVIDENCE_CHARACTERS:
        return line
    return line[: MAX_EVIDENCE_CHARACTERS - 1] + "…"
