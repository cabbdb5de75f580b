"""The forms that register and change an arm."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final

from django import forms

from tasks.arms import declared, description
from tasks.arms.description import Capability, Protocol
from tasks.models import Arm

# Beyond what any model writes.
MAX_ANSWER_TOKENS: Final = 1_000_000
_TEXT: Final = {"class": "vTextField", "autocomplete": "off", "spellcheck": "false"}


def _text(maximum: int, **options: Any) -> forms.CharField:
    return forms.CharField(max_length=maximum, widget=forms.TextInput(attrs=_TEXT), **options)


def _number(lowest: int, highest: int, initial: int, **options: Any) -> forms.IntegerField:
    return forms.IntegerField(min_value=lowest, max_value=highest, initial=initial, **options)


class ArmForm(forms.Form):
    """How to call an arm; everything but its name."""

    protocol = forms.ChoiceField(
        choices=[(one.value, one.value) for one in Protocol],
        help_text="octollm for an agent, openai for a model server.",
    )
    url = _text(
        declared.MAX_URL_CHARACTERS,
        label="URL",
        help_text="Such as http://coder:8003; of a model server, it ends in /v1.",
    )
    model = _text(
        declared.MAX_MODEL_CHARACTERS,
        required=False,
        help_text="The model of a model server; empty for octollm.",
    )
    capabilities = forms.MultipleChoiceField(
        choices=[(one.value, one.value) for one in Capability],
        initial=[Capability.EXECUTE.value],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one."},
    )
    room = _number(
        1, description.MAX_ROOM, description.DEFAULT_ROOM, help_text="Calls at the same time."
    )
    timeout_seconds = _number(
        description.MIN_TIMEOUT_SECONDS,
        description.MAX_TIMEOUT_SECONDS,
        description.DEFAULT_TIMEOUT_SECONDS,
        label="Timeout (s)",
        help_text="For one call.",
    )
    is_idempotent = forms.BooleanField(
        label="Idempotent",
        required=False,
        help_text="It carries out a request with the same key once, so that a call with an "
        "unknown outcome may be repeated.",
    )
    tier = _number(
        1, description.MAX_TIER, description.DEFAULT_TIER, help_text="1 for the cheapest."
    )
    usd_per_million_input = _text(
        20, label="Dollars for a million tokens of a request", initial="0"
    )
    usd_per_million_output = _text(
        20, label="Dollars for a million tokens of an answer", initial="0"
    )
    max_answer_tokens = _number(
        1,
        MAX_ANSWER_TOKENS,
        description.DEFAULT_MAX_ANSWER_TOKENS,
        label="Most tokens of an answer",
        help_text="Only for openai.",
    )

    def clean(self) -> dict[str, Any]:
        """Check the values as those of a declaration are checked."""
        cleaned = self.cleaned_data
        if "protocol" not in cleaned:
            return cleaned
        protocol = Protocol(cleaned["protocol"])
        self._check("url", "The URL", lambda value: declared.valid_url(value, protocol))
        self._check("model", "The model", lambda value: declared.valid_model(value, protocol))
        for name in ("usd_per_million_input", "usd_per_million_output"):
            self._check(name, "The price", declared.valid_price)
        return cleaned

    def _check(self, field: str, what: str, valid: Callable[[str], Any]) -> None:
        if field not in self.cleaned_data:
            return
        try:
            self.cleaned_data[field] = valid(self.cleaned_data[field])
        except declared.Invalid as invalid:
            self.add_error(field, f"{what} {invalid}.")

    def described(self, name: str) -> description.Arm:
        """Return the arm of a valid form."""
        values = {field: self.cleaned_data[field] for field in ArmForm.base_fields}
        values["protocol"] = Protocol(values["protocol"])
        # In one order, so that a change of the order changes nothing.
        chosen = values["capabilities"]
        values["capabilities"] = tuple(one for one in Capability if one in chosen)
        return description.Arm(name=name, **values)


class NewArmForm(ArmForm):
    name = _text(
        description.MAX_NAME_CHARACTERS,
        help_text="Shown beside its calls. It cannot be changed, and the arm cannot be deleted.",
    )
    field_order = ("name",)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        try:
            declared.valid_name(name)
        except declared.Invalid as invalid:
            raise forms.ValidationError(f"The name {invalid}.") from invalid
        if Arm.objects.filter(pk=name).exists():
            raise forms.ValidationError("There is an arm with this name.")
        return name


def as_given(arm: Arm) -> dict[str, Any]:
    """Return the values of an arm for its form."""
    described = arm.description
    values = {field.name: getattr(described, field.name) for field in fields(described)}
    for name in ("usd_per_million_input", "usd_per_million_output"):
        values[name] = f"{values[name].normalize():f}"
    return {**values, "capabilities": arm.capabilities, "protocol": arm.protocol}
