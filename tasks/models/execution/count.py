"""The table `counts`: the counters that all processes share."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Count(models.Model):
    """One part of a counter; `/metrics` adds the parts up.

    Attributes:
        name: of the metric, without prefix.
        labels: the values of its labels, in their order.
        shard: processes that count at the same time use different parts, and do not wait for one
            another.
    """

    id = models.BigAutoField(primary_key=True)
    name = models.TextField()
    labels = ArrayField(models.TextField())
    shard = models.SmallIntegerField()
    value = models.DecimalField(max_digits=28, decimal_places=8)

    class Meta:
        db_table = "counts"
        default_permissions = ()
        constraints = (
            # Each count finds its row by the index of this constraint.
            models.UniqueConstraint(fields=["name", "labels", "shard"], name="counts_part_once"),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.labels}"
