"""Finding the form of a criterion, and judging the fields that it is about."""

from typing import Any, Final

from tasks.arms.forms import contents, limits
from tasks.arms.forms.results import children, normalised, structured, walk
from tasks.arms.forms.sentences import Form, Sentence, read
from tasks.arms.forms.verdict import CriterionVerdict, Judged, decided, quote

_FORMS: Final[tuple[Form, ...]] = limits.FORMS + contents.FORMS
# The worst comes first.
_ORDER: Final = (CriterionVerdict.NOT_MET, CriterionVerdict.UNDECIDED, CriterionVerdict.MET)


def understands(criterion: str) -> bool:
    """Return whether the criterion has one of the forms."""
    return read(criterion, _FORMS) is not None


def judge(criterion: str, result: Any) -> Judged:
    """Return whether a result, any JSON value, meets the criterion.

    It is undecided if the criterion has none of the forms, or its form does not fit the result.
    """
    understood = read(criterion, _FORMS)
    if understood is None:
        return decided(None, "No rule covers this sentence.")
    sentence, check = understood
    fields = _meant(sentence, structured(result))
    if fields:
        return _worst(sentence.subject, [check(sentence, field) for field in fields])
    if sentence.is_about_result:
        return check(sentence, result)
    return decided(None, f"There is no field {quote(sentence.subject)}.")


def _meant(sentence: Sentence, result: Any) -> list[Any]:
    """Return the fields that a sentence is about."""
    fields = _named(sentence, result)
    if "all" not in sentence.parts:
        return fields
    # "All scores" may be one list.
    return [item for field in fields for item in (field if isinstance(field, list) else [field])]


def _named(sentence: Sentence, result: Any) -> list[Any]:
    """Return the fields that have the name of the subject, or otherwise a shorter one."""
    first, _, last = sentence.subject.casefold().rpartition(" ")
    shorter = first if last in ("score", "scores", "value", "values") else ""
    # A quoted name may have no letters at all.
    names = (sentence.subject, shorter, sentence.subject.casefold().removesuffix("s"))
    for name in filter(None, map(normalised, names)):
        top = [item for key, item in children(result) if normalised(key) == name]
        if sentence.is_about_result or (top and "all" not in sentence.parts):
            return top
        found = [item for key, item in walk(result, name) if normalised(key) == name]
        if found:
            return found
    return []


def _worst(name: str, found: list[Judged]) -> Judged:
    """Return the worst of what was found in fields of one name, and in which."""
    place, worst = min(enumerate(found, 1), key=lambda item: _ORDER.index(item[1].verdict))
    where = f", {place} of {len(found)}" if len(found) > 1 else ""
    return Judged(worst.verdict, f"Field {quote(name)}{where}: {worst.evidence}")
