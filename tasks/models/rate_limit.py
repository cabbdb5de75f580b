"""The table `rate_limits`: how far ahead of its limit each caller is."""

from django.db import models


class RateLimit(models.Model):
    """The state of one limit; `tasks.clients.rate_limits` has the statement that counts.

    The table is unlogged: after a crash of the database, all limits begin anew.

    Attributes:
        key: what is limited, such as `client:<id>` or `address:<address>`.
        arrival_at: when the next request would arrive if all came evenly (GCRA's theoretical
            arrival time). A row whose time is past means the same as no row.
        spacing: the time between two requests that come evenly.
        is_allowed: the answer to the last request.
    """

    key = models.TextField(primary_key=True)
    arrival_at = models.DateTimeField()
    spacing = models.DurationField()
    is_allowed = models.BooleanField()

    class Meta:
        db_table = "rate_limits"
        default_permissions = ()

    def __str__(self) -> str:
        return self.key
