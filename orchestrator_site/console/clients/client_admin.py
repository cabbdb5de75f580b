"""The console's list of clients, and the page of a client."""

from typing import Any, Final

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from orchestrator_site.console.clients.figures import figures
from orchestrator_site.console.clients.forms import (
    KeyForm,
    LimitsForm,
    NewClientForm,
    ReasonForm,
    RevokeForm,
)
from orchestrator_site.console.formats import age, short_name
from orchestrator_site.console.lists.read_only import BoundedChangeList, ReadOnlyModelAdmin
from orchestrator_site.console.permissions import may_manage_clients
from tasks.clients.exceptions import ClientDisabled, ClientHasTokens
from tasks.clients.keys import BEGINNING
from tasks.models import Client, ClientEvent
from tasks.models.client import ClientEventKind

# A busy client may have changed often.
MAX_EVENTS: Final = 200


class ClientList(BoundedChangeList):
    """Counts only for the clients that the page shows."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        counted = figures([client.pk for client in self.result_list])
        for client in self.result_list:
            client.figures = counted[client.pk]


class ClientAdmin(ReadOnlyModelAdmin):
    list_display = (
        "name",
        "state",
        "tasks_last_day",
        "all_tasks",
        "refused_last_day",
        "last_seen",
        "requests_a_minute",
        "pending",
        "working_keys",
    )
    list_per_page = 25
    search_fields = ("name",)
    search_help_text = "A part of a client's name."
    # Those that staff made come first: an issuer may make thousands.
    ordering = ("issuer", "name")
    sortable_by = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ClientList]:
        return ClientList

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_manage_clients(request)

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return may_manage_clients(request)

    @admin.display(description="state")
    def state(self, client: Client) -> str:
        return "disabled" if client.is_disabled else "enabled"

    @admin.display(description="tasks, last day")
    def tasks_last_day(self, client: Any) -> str:
        return str(client.figures.recent)

    @admin.display(description="tasks, all")
    def all_tasks(self, client: Any) -> str:
        return str(client.figures.tasks)

    @admin.display(description="refused, last day")
    def refused_last_day(self, client: Any) -> str:
        return str(client.figures.refused)

    @admin.display(description="last seen")
    def last_seen(self, client: Any) -> str:
        seen = client.figures.last_seen
        return "never" if seen is None else format_html("{} ago", age(seen, timezone.now()))

    @admin.display(description="requests a minute")
    def requests_a_minute(self, client: Client) -> str:
        return _requests_a_minute(client)

    @admin.display(description="pending (at most)")
    def pending(self, client: Any) -> str:
        return f"{client.figures.pending} ({_pending_at_most(client)})"

    @admin.display(description="working keys")
    def working_keys(self, client: Any) -> str:
        if client.is_of_issuer:
            return "tokens"
        return str(0 if client.is_disabled else client.figures.keys)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show our own form, since a client has verbs and not fields to edit."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewClientForm(request.POST if request.method == "POST" else None)
        if form.is_valid() and (client := _added(form, actor=_actor(request))):
            self.message_user(request, f"Added {client}. Now make its first key.")
            return redirect(_page(client))
        context = {**self.admin_site.each_context(request), "title": "Add client", "form": form}
        return render(request, "admin/tasks/client/add.html", {**context, "opts": self.opts})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        client = self.get_object(request, object_id)
        if client is None:
            self.message_user(request, "There is no such client.", messages.WARNING)
            return redirect("admin:tasks_client_changelist")
        if request.method == "POST":
            return self._do(request, client)
        return self._show(request, client)

    def _do(self, request: HttpRequest, client: Client) -> HttpResponse:
        match request.POST.get("step"):
            case "make_key":
                return self._make_key(request, client)
            case "limits":
                return self._change_limits(request, client)
            case "revoke" | "disable" | "enable" as verb:
                return self._change_state(request, client, verb)
        raise BadRequest("unknown step")

    def _make_key(self, request: HttpRequest, client: Client) -> HttpResponse:
        """Show the new key in the answer itself: nobody can read it again."""
        form = KeyForm(request.POST)
        if not form.is_valid():
            return self._show(request, client, key_form=form)
        try:
            key = client.make_key(**form.arguments, actor=_actor(request))
        except IntegrityError:
            text = "This form was sent before, and its key was shown once. Revoke it if it is lost."
            return self._told(request, client, text, messages.WARNING)
        except ClientDisabled:
            text = f"{client} is disabled: enable it before it gets a key."
            return self._told(request, client, text, messages.WARNING)
        except ClientHasTokens:
            text = f"{client} has tokens of its issuer, and gets no key."
            return self._told(request, client, text, messages.WARNING)
        context = {
            **self.admin_site.each_context(request),
            "title": f"New key of {client}",
            "opts": self.opts,
            "client": client,
            "key": key,
        }
        return render(request, "admin/tasks/client/key.html", context)

    def _change_limits(self, request: HttpRequest, client: Client) -> HttpResponse:
        form = LimitsForm(request.POST)
        if not form.is_valid():
            return self._show(request, client, limits_form=form)
        is_changed = client.change_limits(form.limits, actor=_actor(request))
        text = "Limits changed." if is_changed else "The limits are the same as before."
        return self._told(request, client, text)

    def _change_state(self, request: HttpRequest, client: Client, verb: str) -> HttpResponse:
        is_revoking = verb == "revoke"
        form = RevokeForm(request.POST, client=client) if is_revoking else ReasonForm(request.POST)
        if not form.is_valid():
            faults = " ".join(str(text) for texts in form.errors.values() for text in texts)
            return self._told(request, client, faults, messages.ERROR)
        because = {"actor": _actor(request), "reason": form.cleaned_data["reason"]}
        match verb:
            case "revoke":
                key = form.cleaned_data["key"]
                is_done, done = client.revoke_key(key, **because), f"Revoked {_shown(key.prefix)}."
            case "disable":
                is_done = client.disable(**because)
                done = f"Disabled {client}, with all its {_credentials(client)}."
            case _:
                is_done, done = client.enable(**because), f"Enabled {client}."
        if not is_done:
            return self._told(request, client, "That was done before.", messages.WARNING)
        return self._told(request, client, done)

    def _told(
        self, request: HttpRequest, client: Client, text: str, level: int = messages.SUCCESS
    ) -> HttpResponse:
        self.message_user(request, text, level)
        return redirect(_page(client))

    def _show(
        self,
        request: HttpRequest,
        client: Client,
        *,
        key_form: Form | None = None,
        limits_form: Form | None = None,
    ) -> HttpResponse:
        events = list(client.events.order_by("-id")[: MAX_EVENTS + 1])
        context = {
            **self.admin_site.each_context(request),
            "title": client.name,
            "opts": self.opts,
            "client": client,
            "short_name": short_name(client.name),
            "credentials": _credentials(client),
            "figures": figures([client.pk])[client.pk],
            "requests_a_minute": _requests_a_minute(client),
            "pending_at_most": _pending_at_most(client),
            "keys": client.keys.order_by("-created_at"),
            "changes": [(event, _in_words(event), _by(event)) for event in events[:MAX_EVENTS]],
            "are_changes_left_out": len(events) > MAX_EVENTS,
            "key_form": key_form or KeyForm(),
            "limits_form": limits_form or LimitsForm(initial=client.limits._asdict()),
            "reason_form": ReasonForm(auto_id=False),
        }
        return render(request, "admin/tasks/client/page.html", context)


def _added(form: NewClientForm, *, actor: str) -> Client | None:
    """Store the client of a valid form; None with the fault in the form if the name is taken."""
    try:
        with transaction.atomic():
            client = Client.objects.add(form.cleaned_data["name"], actor=actor)
            client.change_limits(form.limits, actor=actor)
    except ValidationError as error:
        form.add_error("name", error.messages)
        return None
    return client


def _in_words(event: ClientEvent) -> str:
    data = event.data
    match ClientEventKind(event.kind):
        case ClientEventKind.ADDED if issuer := data.get("issuer"):
            return f"Added by a token of {issuer}"
        case ClientEventKind.KEY_MADE:
            until = f"until {data['expires_at'][:10]}" if data["expires_at"] else "without an end"
            return f"Key {_shown(data['key'])} made {until}: {', '.join(data['scopes'])}"
        case ClientEventKind.KEY_REVOKED:
            return f"Key {_shown(data['key'])} revoked"
        case ClientEventKind.LIMITS:
            return f"Limits: {_limits(data['from'])} → {_limits(data['to'])}"
    return event.get_kind_display().capitalize()


def _by(event: ClientEvent) -> str:
    return event.actor or ("issuer" if "issuer" in event.data else "command line")


def _credentials(client: Client) -> str:
    return "tokens" if client.is_of_issuer else "keys"


def _shown(prefix: str) -> str:
    """Return what of a key is no secret."""
    return f"{BEGINNING}{prefix}…"


def _limits(limits: dict[str, int | None]) -> str:
    rate_limit, max_pending = limits["rate_limit"], limits["max_pending"]
    rate = "those of the service" if rate_limit is None else f"{rate_limit:,} requests a minute"
    return rate if max_pending is None else f"{rate}, {max_pending:,} pending tasks"


def _requests_a_minute(client: Client) -> str:
    """Return the limit that holds, and whether it is that of all clients."""
    if client.rate_limit is not None:
        return f"{client.rate_limit:,}"
    return "no limit" if settings.RATE_LIMIT is None else f"{settings.RATE_LIMIT:,} (default)"


def _pending_at_most(client: Client) -> str:
    return "no limit" if client.max_pending is None else f"{client.max_pending:,}"


def _actor(request: HttpRequest) -> str:
    return request.user.get_username()


def _page(client: Client) -> str:
    return reverse("admin:tasks_client_change", args=[client.pk])
