"""Templates of texts and JSON values, and how their gaps are filled."""

import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final

_NOTHING_BUT_A_GAP: Final = re.compile(r"\{(\w+)\}")


class Words(dict[str, Any]):
    """Chooses a word for each gap where it is first met, and keeps to it.

    So the warehouse of a goal is that of its context and of its result.
    """

    def __init__(self, random: Random, choices: Mapping[str, Sequence[Any]]) -> None:
        super().__init__()
        self._random = random
        self._choices = choices

    def __missing__(self, name: str) -> Any:
        word = self[name] = self._random.choice(self._choices[name])
        return word

    def fill(self, template: Any) -> Any:
        """Return `template` as a JSON value.

        In it, `"{name}"` is a gap, a range stands for one of its numbers, and a pair of floats
        for a number between them. A text that is nothing but a gap may become a number.
        """
        match template:
            case str():
                if gap := _NOTHING_BUT_A_GAP.fullmatch(template):
                    return self[gap[1]]
                return template.format_map(self)
            case dict():
                return {key: self.fill(value) for key, value in template.items()}
            case list():
                return [self.fill(value) for value in template]
            case range():
                return self._random.choice(template)
            case (float() as least, float() as most):
                return round(self._random.uniform(least, most), 3)
        return template
