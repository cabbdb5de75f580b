"""The table `api_keys`: what clients show to be let in."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Length, Now
from django.db.models.lookups import Exact
from django.utils import timezone

from tasks.clients.keys import DIGEST_BYTES, PREFIX_CHARACTERS
from tasks.clients.scopes import Scope


class ApiKey(models.Model):
    """A key of a client, without its secret. `Client` has the verbs that make and revoke it.

    Attributes:
        prefix: the characters that name it, which follow `octollm_`.
        digest: the SHA-256 of the whole key.
        scopes: values of `Scope`.
        expires_at: from when on it does not work; None for never.
        last_used_at: when it let a request in, at most a minute too early.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    client = models.ForeignKey("tasks.Client", on_delete=models.PROTECT, related_name="keys")
    prefix = models.TextField()
    digest = models.BinaryField()
    scopes = ArrayField(models.TextField(choices=Scope))
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "api_keys"
        ordering = ("created_at",)
        # The permission to manage clients includes their keys.
        default_permissions = ()
        constraints = (
            # Every request with a key finds it by the index of this constraint.
            models.UniqueConstraint(fields=["digest"], name="api_keys_digest_once"),
            # `revoke_key` finds a key by the index of this constraint.
            models.UniqueConstraint(fields=["prefix"], name="api_keys_prefix_once"),
            models.CheckConstraint(
                condition=Exact(Length("digest"), DIGEST_BYTES), name="api_keys_digest_is_sha256"
            ),
            models.CheckConstraint(
                condition=Exact(Length("prefix"), PREFIX_CHARACTERS),
                name="api_keys_prefix_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(scopes__contained_by=Scope.values),
                name="api_keys_scopes_known",
            ),
        )

    def __str__(self) -> str:
        return self.prefix

    @property
    def state(self) -> str:
        """Return `revoked`, `expired` or `valid`; the client may be disabled all the same."""
        if self.revoked_at is not None:
            return "revoked"
        is_over = self.expires_at is not None and self.expires_at <= timezone.now()
        return "expired" if is_over else "valid"
