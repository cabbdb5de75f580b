"""The tables `arms` and `pauses`: the arms that are registered, and when all calls paused."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Now

from tasks.arms import description
from tasks.arms.description import Capability, Health, Protocol

# The registry is a list that people read; metrics have series for each arm.
MAX_ARMS: Final = 100
PRICE_DIGITS: Final = 12
PRICE_DECIMALS: Final = 6


class TooManyArms(Exception):
    """There are `MAX_ARMS` arms already."""


class ArmQuerySet(models.QuerySet["Arm"]):
    def available(self) -> "ArmQuerySet":
        """Return the arms that may get new calls."""
        return self.filter(is_enabled=True).exclude(
            health__in=[Health.DOWN.value, Health.MISCONFIGURED.value]
        )


_ArmQuerySetManager = models.Manager.from_queryset(ArmQuerySet)


class ArmManager(_ArmQuerySetManager):
    def declare(self, arms: Iterable[description.Arm]) -> None:
        """Store arms or what changed of them; whether they are enabled stays as it is.

        An arm whose address or protocol changed is looked at anew.

        Raises:
            TooManyArms
        """
        with transaction.atomic():
            for arm in arms:
                self._declare(arm)
            if self.count() > MAX_ARMS:
                raise TooManyArms

    def _declare(self, arm: description.Arm) -> None:
        values = {
            field.name: getattr(arm, field.name)
            for field in fields(arm)
            if field.name not in ("name", "refused_parameters")
        }
        values["capabilities"] = [capability.value for capability in arm.capabilities]
        values["protocol"] = arm.protocol.value
        row: Any
        row, is_new = self.select_for_update().get_or_create(name=arm.name, defaults=values)
        changed = {name for name, value in values.items() if getattr(row, name) != value}
        if is_new or not changed:
            return
        for name in changed:
            setattr(row, name, values[name])
        if changed & {"url", "protocol", "model"}:
            row.health, row.refused_parameters = Health.UNKNOWN.value, []
        row.save()

    def record_health(self, name: str, health: Health) -> bool:
        """Store what a check or a call found; return whether the arm has become available.

        What staff have to look at stays until they have looked.
        """
        found = self.filter(name=name).exclude(health=Health.MISCONFIGURED.value)
        found.update(checked_at=Now())
        was_down = found.filter(health=Health.DOWN.value).exists()
        changed = found.exclude(health=health.value).update(health=health.value, health_since=Now())
        return bool(changed and was_down and health is not Health.DOWN)

    def leave_out(self, name: str, parameter: str) -> None:
        """Remember that the server of an arm does not take a parameter."""
        known = self.filter(name=name).exclude(refused_parameters__contains=[parameter])
        known.update(
            refused_parameters=models.Func(
                F("refused_parameters"), Value(parameter), function="array_append"
            )
        )


class Arm(models.Model):
    """A registered arm. It is never deleted: calls refer to it.

    Attributes:
        is_enabled: whether it gets new calls; staff decide.
        health: as the last check found it, or a call that was refused. `misconfigured` stays until
            staff have looked.
        checked_at: when its health was last asked for.
        refused_parameters: the optional parameters that its server does not take.
    """

    name = models.TextField(primary_key=True)
    protocol = models.TextField(choices=[(one.value, one.value) for one in Protocol])
    url = models.TextField()
    model = models.TextField(default="", db_default="", blank=True)
    capabilities = ArrayField(
        models.TextField(choices=[(one.value, one.value) for one in Capability])
    )
    room = models.IntegerField(default=description.DEFAULT_ROOM)
    timeout_seconds = models.IntegerField(default=description.DEFAULT_TIMEOUT_SECONDS)
    is_idempotent = models.BooleanField(default=False)
    tier = models.IntegerField(default=description.DEFAULT_TIER)
    usd_per_million_input = models.DecimalField(
        max_digits=PRICE_DIGITS, decimal_places=PRICE_DECIMALS, default=0
    )
    usd_per_million_output = models.DecimalField(
        max_digits=PRICE_DIGITS, decimal_places=PRICE_DECIMALS, default=0
    )
    max_answer_tokens = models.IntegerField(default=description.DEFAULT_MAX_ANSWER_TOKENS)
    refused_parameters = ArrayField(models.TextField(), default=list, blank=True)
    is_enabled = models.BooleanField(default=True, db_default=True)
    health = models.TextField(
        choices=[(one.value, one.value) for one in Health],
        default=Health.UNKNOWN,
        db_default=Health.UNKNOWN.value,
    )
    health_since = models.DateTimeField(db_default=Now())
    checked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    objects = ArmManager()

    class Meta:
        db_table = "arms"
        ordering = ("name",)
        default_permissions = ("view",)
        permissions = (("manage_arms", "Can register, change, enable and disable arms"),)
        constraints = (
            models.CheckConstraint(
                condition=Q(name__regex=description.NAME_PATTERN), name="arms_name_is_plain"
            ),
            models.CheckConstraint(
                condition=Q(protocol__in=[one.value for one in Protocol]),
                name="arms_protocol_known",
            ),
            models.CheckConstraint(
                condition=Q(capabilities__contained_by=[one.value for one in Capability]),
                name="arms_capabilities_known",
            ),
            models.CheckConstraint(
                condition=Q(health__in=[one.value for one in Health]), name="arms_health_known"
            ),
            models.CheckConstraint(
                condition=Q(room__range=(1, description.MAX_ROOM)), name="arms_room_in_range"
            ),
            models.CheckConstraint(
                condition=Q(
                    timeout_seconds__range=(
                        description.MIN_TIMEOUT_SECONDS,
                        description.MAX_TIMEOUT_SECONDS,
                    )
                ),
                name="arms_timeout_in_range",
            ),
            models.CheckConstraint(
                condition=Q(usd_per_million_input__gte=0, usd_per_million_output__gte=0),
                name="arms_prices_not_negative",
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def description(self) -> description.Arm:
        """What is needed to call it."""
        return description.Arm(
            name=self.name,
            protocol=Protocol(self.protocol),
            url=self.url,
            model=self.model,
            capabilities=tuple(map(Capability, self.capabilities)),
            room=self.room,
            timeout_seconds=self.timeout_seconds,
            is_idempotent=self.is_idempotent,
            tier=self.tier,
            usd_per_million_input=self.usd_per_million_input,
            usd_per_million_output=self.usd_per_million_output,
            max_answer_tokens=self.max_answer_tokens,
            refused_parameters=tuple(self.refused_parameters),
        )

    def enable(self) -> None:
        """Let the arm get new calls; staff have looked at what was wrong with it."""
        Arm.objects.filter(pk=self.pk).update(
            is_enabled=True, health=Health.UNKNOWN.value, health_since=Now()
        )
        self.refresh_from_db()

    def disable(self) -> None:
        """Let the arm get no new calls; those that it works on go on."""
        Arm.objects.filter(pk=self.pk).update(is_enabled=False)
        self.refresh_from_db()


class PauseManager(models.Manager["Pause"]):
    def current(self) -> "Pause | None":
        """Return the pause that goes on; None if there is none."""
        return self.filter(ended_at=None).first()

    def begin(self, *, actor: str, reason: str) -> bool:
        """Begin no new call from now on; return False if a pause goes on already."""
        _pause, is_new = self.get_or_create(
            ended_at=None, defaults={"actor": actor, "reason": reason}
        )
        return is_new

    def end(self, *, actor: str) -> bool:
        """End the pause; return False if there is none. Workers notice within a second."""
        return bool(self.filter(ended_at=None).update(ended_at=Now(), ended_by=actor))


class Pause(models.Model):
    """A time in which no new call begins, of all workers; the last one may still go on.

    Attributes:
        actor: the name of the member of staff who began it.
        ended_by: the name of the member of staff who ended it.
    """

    id = models.BigAutoField(primary_key=True)
    began_at = models.DateTimeField(db_default=Now())
    actor = models.TextField()
    reason = models.TextField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.TextField(default="", db_default="")

    objects = PauseManager()

    class Meta:
        db_table = "pauses"
        ordering = ("-id",)
        default_permissions = ()
        constraints = (
            # Claims look for the one that goes on by the index of this constraint.
            models.UniqueConstraint(
                fields=["ended_at"],
                condition=Q(ended_at__isnull=True),
                nulls_distinct=False,
                name="pauses_one_at_a_time",
            ),
        )

    def __str__(self) -> str:
        return f"{self.began_at:%Y-%m-%d %H:%M}: {self.reason}"
