"""The console's pages for accounts and groups."""

from typing import Any, Final

from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.http import HttpRequest

from orchestrator_site.console.lists.read_only import OddRequests

ROLES_IN_WORDS: Final = (
    "Users of this console need the staff status and one of the groups. Viewer: tasks without "
    "goals, contexts and results. Operator: everything about tasks, actions on them, and "
    "decisions. Safety officer: receipts, refusals and the dry run. Admin: all of that, and user "
    "accounts."
)


class StaffAdmin(OddRequests, UserAdmin):
    lookups = frozenset(
        {
            "is_staff__exact",
            "is_superuser__exact",
            "is_active__exact",
            "groups__id__exact",
            "groups__isnull",
        }
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Explain beside the permissions how to give access, and what each role is for."""
        described = {"description": ROLES_IN_WORDS}
        return [
            (name, options | (described if "groups" in options["fields"] else {}))
            for name, options in super().get_fieldsets(request, obj)
        ]


class RoleAdmin(OddRequests, GroupAdmin):
    pass
