"""The names that staff may have. In a timeline, none may be mistaken for another actor."""

from typing import Final

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from safety.reflex_layer.matching.folding import fold

# The names of actors in timelines that are not accounts.
RESERVED: Final = frozenset({"service", "client", "staff", "gate", "issuer"})
# Characters that look alike in many fonts, after case folding.
_SAME: Final = str.maketrans("0i1", "oll")


def validate_staff_name(name: str) -> None:
    """Refuse a name that looks like a reserved name or like that of another account.

    An account may keep its own name.
    """
    look = _look(name)
    if look in map(_look, RESERVED):
        raise ValidationError("This name, or one that looks like it, is reserved.")
    users = get_user_model().objects.exclude(username=name)
    if any(_look(other) == look for other in users.values_list("username", flat=True).iterator()):
        raise ValidationError("This name is too similar to that of another account.")


def _look(name: str) -> str:
    return fold(name).lower.translate(_SAME)
