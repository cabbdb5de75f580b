"""Patterns for "ignore what was said before" in eight languages.

Each language lists its words; the structure of the sentences is the same for all languages. A
blank in a pattern matches any short gap. Words have their normal spelling, because patterns are
folded in the same way as texts.
"""

import re
from dataclasses import dataclass

from ..matching.patterns import as_folded

GAP = r"[\W_]{1,9}"
# How many filler words may come between two words that matter.
FEW = "{0,9}"
# The end of a clause, or a dash that starts another one.
CLAUSE_ENDS = r"(?=\s{0,3}(?:[.,;:!?\n)\"'|]|\Z)|\s{1,3}-)"


@dataclass(frozen=True, slots=True)
class Language:
    """The words of the sentence in one language, as patterns in lower case.

    Attributes:
        ignore: the order to ignore something.
        follow, never: an order to follow something, and a negation at the end of the sentence.
        small: filler words such as articles, pronouns and auxiliaries.
        earlier, later: words for the position of a text, before or after a noun.
        instructions: nouns that hardly mean anything but instructions to the reader.
        rules: nouns that may also mean something else.
        given: a clause after a noun that refers to the reader: "that you were given".
        everything, said: "everything" ... "that was said".
        above: nouns for the text above.
        own: "your", for things of the reader.
        void: "no longer apply", or the order to ignore at the end of the sentence.
        go_on: words that introduce what to do instead.
    """

    name: str
    ignore: str
    small: str
    earlier: str
    later: str
    instructions: str
    rules: str
    given: str
    everything: str
    said: str
    above: str
    own: str
    void: str
    go_on: str
    follow: str = ""
    never: str = ""

    def orders(self) -> re.Pattern[str]:
        """Compile "ignore the previous instructions", in either word order."""
        small = rf"(?:(?:{self.small}) )"
        # "following" proves nothing alone, but may come before a word such as "previous".
        before = (
            rf"(?:(?:{self.later}) {small}{{0,2}})?(?:{self.earlier}) "
            rf"(?:(?:{self.earlier}|{self.later}|{self.small}) ){FEW}"
        )
        between = rf"(?:(?:{self.small}|{self.later}) ){FEW}"
        strong, weak, turn = self.instructions, self.rules, self.turn()
        ignored = (
            rf"(?:{before}|(?:{self.own}) {small}{{0,2}})(?:{strong}|(?:{weak}){turn})|"
            rf"(?:{strong}|{weak}) {between}(?:{self.given}|(?:{self.earlier}){turn})|"
            rf"(?:{strong}) {between}(?:{self.earlier})"
        )
        void = rf"(?:{before}(?:{strong})|(?:{strong}) {between}(?:{self.earlier}|{self.given}))"
        pattern = (
            rf"(?:{self.ignore}) {small}{FEW}(?:{ignored})|"
            rf"{void} {small}{FEW}(?:{self.void})"
        )
        if self.follow:
            followed = (
                rf"(?:{before}(?:{strong}|{weak})|(?:{strong}|{weak}) {between}{self.earlier})"
            )
            pattern += rf"|(?:{self.follow}) {small}{FEW}{followed} {small}{{0,2}}(?:{self.never})"
        return compiled(pattern)

    def everything_said(self) -> re.Pattern[str]:
        """Compile "forget everything that was said" and "ignore the above"."""
        small = rf"(?:(?:{self.small}) )"
        any_time = rf"{self.small}|{self.earlier}"
        said = rf"(?:(?:{any_time}) ){FEW}(?:{self.said})(?: (?:{any_time})){FEW}"
        above = rf"(?:(?:{self.everything}) {small}{FEW})?(?:{self.above}|{self.earlier})"
        return compiled(
            rf"(?:{self.ignore}) {small}{FEW}"
            rf"(?:(?:{self.everything}) {said}|{above}){self.turn()}"
        )

    def turn(self) -> str:
        """Return a pattern that must follow words that may also mean something else."""
        return rf"(?:{CLAUSE_ENDS}|(?= (?:{self.go_on})(?!\w)))"


def compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{as_folded(pattern).replace(' ', GAP)})(?!\w)")
