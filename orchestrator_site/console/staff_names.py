"""Names that staff may have: none that could be taken for somebody else's in a timeline."""

from typing import Final

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from safety.reflex_layer.matching.folding import fold

# How timelines call those who act and have no name.
RESERVED: Final = frozenset({"service", "client", "staff", "gate"})
# Alike in many fonts once case no longer counts.
_SAME: Final = str.maketrans("0i1", "oll")


def validate_staff_name(name: str) -> None:
    """Refuse a reserved name, and one that looks like that of an account that exists.

    An account keeps its own.
    """
    look = _look(name)
    if look in map(_look, RESERVED):
        raise ValidationError("This name, or one like it, stands for the service in timelines.")
    users = get_user_model().objects.exclude(username=name)
    if any(_look(other) == look for other in users.values_list("username", flat=True).iterator()):
        raise ValidationError("This name looks like that of an account that exists.")


def _look(name: str) -> str:
    return fold(name).lower.translate(_SAME)
