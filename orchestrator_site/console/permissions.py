"""The console's permission checks. A migration creates the roles that have these permissions."""

from typing import Final

from django.http import HttpRequest

# Nobody decides about a result without reading it.
DECIDING: Final = ("tasks.decide_task", "tasks.view_task_content")


def may_view_content(request: HttpRequest) -> bool:
    """Whether the user may see goals, contexts and results, and search in goals."""
    return request.user.has_perm("tasks.view_task_content")


def may_view_receipt(request: HttpRequest) -> bool:
    """Whether the user may see findings and request ids."""
    return request.user.has_perm("safety.view_receipt")


def may_operate(request: HttpRequest) -> bool:
    """Whether the user may act on tasks, and see the actions of others."""
    return request.user.has_perm("tasks.operate_task")


def may_manage_clients(request: HttpRequest) -> bool:
    """Whether the user may see and change clients, their keys and limits."""
    return request.user.has_perm("tasks.manage_client")


def may_manage_arms(request: HttpRequest) -> bool:
    """Whether the user may register, change, enable and disable arms."""
    return request.user.has_perm("tasks.manage_arms")


def may_decide(request: HttpRequest) -> bool:
    """Whether the user may accept and reject results that wait for a decision."""
    return request.user.has_perms(DECIDING)
