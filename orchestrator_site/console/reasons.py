"""The field in which staff say why they change something."""

from typing import Any, Final

from django import forms

MAX_REASON_CHARACTERS: Final = 500


def reason_field(**options: Any) -> forms.CharField:
    return forms.CharField(
        max_length=MAX_REASON_CHARACTERS,
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
        **options,
    )
