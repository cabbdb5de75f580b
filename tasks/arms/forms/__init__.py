"""Criteria that need no model: the forms of sentences that can be checked by a rule.

Upper and lower case, a final full stop and the kind of quotation marks do not matter, and a
sentence may begin with a subject. The whole sentence has to be understood. A wrong "met" is the
worst answer, so whatever is ambiguous, in the sentence or in the result, is undecided.

    Numbers        Sentiment score between -1 and 1; `score` must be at least 0.5; is not negative
    Lengths        At most 200 words; has exactly three items; is no longer than 280 characters
    JSON           Valid JSON; the output is a valid JSON object; must be a JSON array
    Phrases        The answer contains 'refund' and 'order'; must not mention "price"
    Fields         Has fields name, price and id; every item has a name and a price
    Emptiness      The summary must not be empty
    Case           The code is in upper case
    Start and end  The text starts with 'Dear'; ends with 'Regards' or 'Yours'
    Choices        The status is one of 'open', 'closed'; must be 'yes' or 'no'
    Truth          `is_spam` is false

**Subjects.** "The answer" and similar words mean the field of that name at the top of the result,
otherwise the whole result. Every other subject names a field, found without regard to case, spaces,
"_" and "-", at the top or otherwise anywhere below; "score" or "value" at its end, or its plural
"s", is dropped if there is no such field. If there are several, all have to meet the criterion.
"Every" and "all" mean those at all depths, and each item of a field that is a list. A result that
is the text of a JSON object or list is read as one to find fields and items.

**Lengths.** Words are those of a text, or of all strings and numbers of an object or list, without
its keys. Items are those of a list, or of the only list of an object. All else is counted in a
text, or in the only text of an object or list. Where people count in different ways ("well-known",
"Dr. Smith"), the verdict has to be the same for the lowest and the highest count.

**Phrases** are searched in strings and numbers, as whole words. What occurs only in a longer word
or in a key is undecided. A word without quotation marks may stand for a topic, so only its presence
decides; after "contain" and "include" it is not understood if it looks like a kind of content
("contains numbers").
"""

from tasks.arms.forms.checking import judge, understands
from tasks.arms.forms.verdict import CriterionVerdict, Judged

__all__ = ["CriterionVerdict", "Judged", "judge", "understands"]
