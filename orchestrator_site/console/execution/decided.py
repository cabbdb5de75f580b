"""What staff decided, read from steps without their answers, which may be long."""

from django.db.models import Case, TextField, When
from django.db.models.fields.json import KeyTextTransform

from tasks.states import StepRole


def of_decision(key: str) -> Case:
    """Return the expression for `outcome`, `reason` or `wish`; null in steps of other roles."""
    is_decision = When(role=StepRole.DECIDE, then=KeyTextTransform(key, "answer"))
    return Case(is_decision, output_field=TextField())
