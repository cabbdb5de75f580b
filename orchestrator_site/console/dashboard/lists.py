"""The URLs of the lists behind the figures."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.urls import reverse

from safety.models import Occasion, ReceiptVerdict
from tasks.states import Status


def tasks_in(status: Status) -> str:
    return _list("admin:tasks_task_changelist", status__exact=status.value)


def tasks_that_wait_for(reason: str) -> str:
    return _list("admin:tasks_task_changelist", waits_for=reason)


def decisions() -> str:
    return reverse("admin:decisions")


def tasks_that_failed_with(code: str) -> str:
    return _list("admin:tasks_task_changelist", failure=code)


def receipts(
    since: datetime,
    until: datetime,
    verdicts: Iterable[ReceiptVerdict] = (),
    *,
    type_found: str = "",
) -> str:
    """Return the URL of the list of submissions' receipts from `since` to before `until`.

    Whole days use the filter that the list shows beside its rows, which has no hours.
    """
    last_day = until - timedelta(days=1)
    if since.time() == last_day.time() == datetime.min.time():
        filters = {"from": f"{since:%Y-%m-%d}", "to": f"{last_day:%Y-%m-%d}"}
    else:
        filters = {"created_at__gte": since.isoformat(), "created_at__lt": until.isoformat()}
    filters["occasion__exact"] = Occasion.SUBMISSION.value
    names = [verdict.value for verdict in verdicts]
    if len(names) == 1:
        filters["verdict__exact"] = names[0]
    elif names:
        filters["verdict__in"] = ",".join(names)
    if type_found:
        filters["type"] = type_found
    return _list("admin:safety_receipt_changelist", **filters)


def _list(name: str, **filters: str) -> str:
    return f"{reverse(name)}?{urlencode(filters)}"
