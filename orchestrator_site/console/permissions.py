"""What staff may do with tasks, by their permissions; the roles are made by a migration."""

from django.http import HttpRequest


def may_view_content(request: HttpRequest) -> bool:
    """Whether the user may see goals, contexts and results, and search in goals."""
    return request.user.has_perm("tasks.view_task_content")


def may_view_receipt(request: HttpRequest) -> bool:
    """Whether the user may see findings and request ids."""
    return request.user.has_perm("safety.view_receipt")


def may_operate(request: HttpRequest) -> bool:
    """Whether the user may act on tasks, and see what others did."""
    return request.user.has_perm("tasks.operate_task")
