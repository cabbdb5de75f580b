"""The sentence "ignore what was said before" in eight languages, from its words.

Each language lists its words; the ways to put them together are the same for all. A blank stands
for any short gap, and a word may be written as people write it: the patterns are folded as the
texts are.
"""

import re
from dataclasses import dataclass

from ..matching.patterns import as_folded

GAP = r"[\W_]{1,9}"
# How many words that carry nothing may stand between two that do.
FEW = "{0,9}"
# The end of a clause, or what turns to something else.
CLAUSE_ENDS = r"(?=\s{0,3}(?:[.,;:!?\n)\"'|]|\Z)|\s{1,3}-)"


@dataclass(frozen=True, slots=True)
class Language:
    """The words of the sentence in one language, each a pattern of small letters.

    Attributes:
        ignore: what is to be done, as an order.
        follow, never: the same as an order to follow, and the negation that stands behind.
        small: words that carry nothing: articles, pronouns, auxiliaries.
        earlier, later: what was said, by its place, before a noun or after it.
        instructions: what was said, by a name that hardly means anything else.
        rules: the same by names that do.
        given: that it was said to the reader, behind a noun: "that you were given".
        everything, said: "everything" ... "that was said".
        above: what stands above, as a noun.
        own: "your", of the reader.
        void: "no longer apply", or the order to ignore where it stands last.
        go_on: words that begin what is to be done instead.
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
        """Compile "ignore the previous instructions", in either order of words."""
        small = rf"(?:(?:{self.small}) )"
        # "following" says nothing on its own, but may come first.
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
        """Return what must follow where the words before may mean something else."""
        return rf"(?:{CLAUSE_ENDS}|(?= (?:{self.go_on})(?!\w)))"


def compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{as_folded(pattern).replace(' ', GAP)})(?!\w)")
