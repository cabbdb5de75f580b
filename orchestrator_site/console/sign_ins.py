"""The console's list of sign-ins, for Admins."""

from django.contrib import admin

from orchestrator_site.console.lists.filters import DayFilter
from orchestrator_site.console.lists.read_only import ReadOnlyModelAdmin
from tasks.models import SignIn


class SignInAdmin(ReadOnlyModelAdmin):
    list_display = ("time", "account_name", "outcome", "client_address", "request_id")
    list_display_links = None
    list_filter = ("outcome", DayFilter)
    lookups = frozenset({"outcome__exact", "from", "to"})
    ordering = ("-created_at",)
    sortable_by = ()

    @admin.display(description="time (UTC)")
    def time(self, sign_in: SignIn) -> str:
        return f"{sign_in.created_at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="account")
    def account_name(self, sign_in: SignIn) -> str:
        return sign_in.account or "unknown name"
