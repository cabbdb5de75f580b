"""The forms on the pages of clients."""

import uuid
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.utils import timezone

from orchestrator_site.console.reasons import reason_field
from tasks.clients.rate_limits import MAX_RATE_LIMIT
from tasks.clients.scopes import Scope
from tasks.models import Client
from tasks.models.client import MAX_NAME_CHARACTERS, MAX_PENDING, Limits, validate_client_name

NO_SUCH_KEY: Final = "The client has no such key."
LIFETIMES: Final = {
    "30": "30 days",
    "90": "90 days",
    "365": "a year",
    "": "no end",
}


class LimitsForm(forms.Form):
    """What one client may do."""

    rate_limit = forms.IntegerField(
        label="Requests a minute",
        min_value=1,
        max_value=MAX_RATE_LIMIT,
        required=False,
        help_text="Empty for the limit of the service.",
    )
    max_pending = forms.IntegerField(
        label="Pending tasks at most",
        min_value=0,
        max_value=MAX_PENDING,
        required=False,
        help_text="Empty for no limit.",
    )

    @property
    def limits(self) -> Limits:
        return Limits(self.cleaned_data["rate_limit"], self.cleaned_data["max_pending"])


class NewClientForm(LimitsForm):
    name = forms.CharField(
        max_length=MAX_NAME_CHARACTERS,
        validators=[validate_client_name],
        help_text="Shown beside its tasks, and in the log.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    field_order = ("name",)


class KeyForm(forms.Form):
    """A new key.

    Attributes:
        key_id: so that a form that is sent twice makes one key.
    """

    key_id = forms.UUIDField(widget=forms.HiddenInput)
    scopes = forms.MultipleChoiceField(
        label="May",
        choices=[(scope.value, f"{scope.label} ({scope.value})") for scope in Scope],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one."},
    )
    days = forms.ChoiceField(label="Works for", choices=list(LIFETIMES.items()), required=False)

    def __init__(self, data: Any = None) -> None:
        first = {
            "key_id": uuid.uuid4(),
            "days": "90",
            "scopes": [Scope.SUBMIT.value, Scope.READ.value],
        }
        super().__init__(data, initial=first)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of `Client.make_key`."""
        days = self.cleaned_data["days"]
        return {
            "scopes": [Scope(value) for value in self.cleaned_data["scopes"]],
            "expires_at": timezone.now() + timedelta(days=int(days)) if days else None,
            "key_id": self.cleaned_data["key_id"],
        }


class ReasonForm(forms.Form):
    reason = reason_field(error_messages={"required": "Give a reason."})


class RevokeForm(ReasonForm):
    """The end of one of the keys of `client`."""

    def __init__(self, data: Any, *, client: Client) -> None:
        super().__init__(data)
        self.fields["key"] = forms.ModelChoiceField(
            client.keys,
            to_field_name="prefix",
            error_messages=dict.fromkeys(("required", "invalid_choice"), NO_SUCH_KEY),
        )
