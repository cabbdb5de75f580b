"""The tables `clients` and `client_events`: the users of the API, and what staff changed."""

import re
import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils import timezone

from tasks.clients.exceptions import ClientDisabled, ClientHasTokens
from tasks.clients.keys import digest_of, new_key, prefix_of
from tasks.clients.rate_limits import MAX_RATE_LIMIT
from tasks.clients.scopes import Scope
from tasks.models.api_key import ApiKey

MAX_NAME_CHARACTERS: Final = 64
# The name of a client that an issuer made. The names that staff give have no colon.
NAME_OF_SUBJECT: Final = "token:{}"
NAME_TAKEN: Final = "There is a client with this name already."
# All of them are counted at each submission.
MAX_PENDING: Final = 100_000

_NAME: Final = re.compile(rf"[^\W_][\w .-]{{0,{MAX_NAME_CHARACTERS - 1}}}")


def validate_client_name(name: str) -> None:
    """Refuse names that a log line or a page could not show plainly."""
    if not _NAME.fullmatch(name) or name != name.strip():
        raise ValidationError(
            f"A client's name has 1 to {MAX_NAME_CHARACTERS} letters, digits, spaces, dots, dashes "
            "and underscores, and begins with a letter or a digit."
        )


class Limits(NamedTuple):
    """The limits of one client.

    Attributes:
        rate_limit: requests a minute; None for that of the service.
        max_pending: the largest number of pending tasks; None for no limit.
    """

    rate_limit: int | None
    max_pending: int | None


class ClientManager(models.Manager["Client"]):
    def named(self, name: str) -> "Client":
        """Return the client with this name, in upper or lower case, of those that staff made.

        Raises:
            Client.DoesNotExist
        """
        return self.get(name__iexact=name, issuer="")

    def add(self, name: str, *, actor: str = "") -> "Client":
        """Store a new client.

        Raises:
            ValidationError: the name is not valid, or taken.
        """
        validate_client_name(name)
        client = self.model(name=name)
        try:
            with transaction.atomic():
                client.save(force_insert=True)
                client.note(ClientEventKind.ADDED, actor=actor)
        except IntegrityError as error:
            raise ValidationError(NAME_TAKEN) from error
        return client

    def add_of_issuer(self, issuer: str, subject: str) -> None:
        """Store the client whose tokens name this issuer and subject, unless it is there."""
        with transaction.atomic():
            client, is_new = self.get_or_create(
                issuer=issuer, subject=subject, defaults={"name": NAME_OF_SUBJECT.format(subject)}
            )
            if is_new:
                client.note(ClientEventKind.ADDED, actor="", data={"issuer": issuer})


class Client(models.Model):
    """A program that submits and reads tasks, known by its API keys or by tokens of an issuer.

    A client with keys is made by staff, who name it. A client with tokens is made by its first
    token, and is known by the issuer and the subject that its tokens name.

    Everything about it changes through the verbs below. Each verb writes an event in the same
    transaction, and returns whether it changed anything. An `actor` is the name of a member of
    staff, empty for the command line.

    Attributes:
        rate_limit: requests a minute; None for `ORCHESTRATOR_RATE_LIMIT`.
        max_pending: the largest number of pending tasks; None for no limit.
        disabled_at: since when none of its keys and tokens works.
        issuer: the `iss` of its tokens; empty for a client with keys.
        subject: the `sub` of its tokens; empty for a client with keys.
        token_used_at: when a token let a request in, at most a minute too early.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.TextField()
    rate_limit = models.IntegerField(null=True, blank=True)
    max_pending = models.IntegerField(null=True, blank=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    issuer = models.TextField(default="", db_default="")
    subject = models.TextField(default="", db_default="")
    token_used_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    objects = ClientManager()

    class Meta:
        db_table = "clients"
        ordering = ("name",)
        default_permissions = ()
        permissions = (("manage_client", "Can see and change clients, their keys and limits"),)
        constraints = (
            models.UniqueConstraint(
                Lower("name"),
                # Subjects that differ in upper and lower case only are not the same.
                condition=Q(issuer=""),
                name="clients_name_once",
            ),
            # Every request with a token finds its client by the index of this constraint.
            models.UniqueConstraint(
                fields=["issuer", "subject"],
                condition=~Q(issuer=""),
                name="clients_subject_once",
            ),
            models.CheckConstraint(
                condition=Q(issuer="", subject="") | ~Q(issuer="") & ~Q(subject=""),
                name="clients_subject_of_issuer",
            ),
            models.CheckConstraint(
                condition=Q(rate_limit__isnull=True) | Q(rate_limit__range=(1, MAX_RATE_LIMIT)),
                name="clients_rate_limit_in_range",
            ),
            models.CheckConstraint(
                condition=Q(max_pending__isnull=True) | Q(max_pending__range=(0, MAX_PENDING)),
                name="clients_max_pending_in_range",
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def is_disabled(self) -> bool:
        return self.disabled_at is not None

    @property
    def is_of_issuer(self) -> bool:
        """Whether an issuer made it, so that it has tokens and no keys."""
        return self.issuer != ""

    @property
    def limits(self) -> Limits:
        return Limits(self.rate_limit, self.max_pending)

    def make_key(
        self,
        scopes: Collection[Scope],
        *,
        expires_at: datetime | None = None,
        key_id: uuid.UUID | None = None,
        actor: str = "",
    ) -> str:
        """Store a new key, and return it; nobody can read it again.

        Args:
            key_id: chosen by the caller, so that a form that is sent twice makes one key.

        Raises:
            ClientHasTokens: an issuer made the client.
            ClientDisabled: the key would not work.
            IntegrityError: there is a key with this id already.
        """
        if self.is_of_issuer:
            # Its issuer decides what it may do, and until when.
            raise ClientHasTokens(self.name)
        key = new_key()
        # In the order of the scopes, each once.
        granted = [scope.value for scope in Scope if scope in scopes]
        with transaction.atomic():
            # Locked, so that no key appears beside a client that is being disabled.
            if Client.objects.select_for_update(no_key=True).get(pk=self.pk).is_disabled:
                raise ClientDisabled(self.name)
            ApiKey(
                id=key_id or uuid.uuid4(),
                client=self,
                prefix=prefix_of(key),
                digest=digest_of(key),
                scopes=granted,
                expires_at=expires_at,
            ).save(force_insert=True)
            self.note(
                ClientEventKind.KEY_MADE,
                actor=actor,
                data={"key": prefix_of(key), "scopes": granted, "expires_at": _text(expires_at)},
            )
        return key

    def revoke_key(self, api_key: ApiKey, *, actor: str = "", reason: str = "") -> bool:
        """End a key for good."""
        with transaction.atomic():
            unrevoked = ApiKey.objects.filter(pk=api_key.pk, client=self, revoked_at=None)
            if not unrevoked.update(revoked_at=Now()):
                return False
            data = {"key": api_key.prefix}
            self.note(ClientEventKind.KEY_REVOKED, actor=actor, reason=reason, data=data)
        return True

    def disable(self, *, actor: str = "", reason: str = "") -> bool:
        """Refuse the client with all its keys and tokens, from the next request on."""
        with transaction.atomic():
            if not Client.objects.filter(pk=self.pk, disabled_at=None).update(disabled_at=Now()):
                return False
            self.note(ClientEventKind.DISABLED, actor=actor, reason=reason)
        return True

    def enable(self, *, actor: str = "", reason: str = "") -> bool:
        """Let a disabled client in again, with the keys and tokens that still work."""
        with transaction.atomic():
            disabled = Client.objects.filter(pk=self.pk, disabled_at__isnull=False)
            if not disabled.update(disabled_at=None):
                return False
            self.note(ClientEventKind.ENABLED, actor=actor, reason=reason)
        return True

    def change_limits(self, wanted: Limits, *, actor: str = "", reason: str = "") -> bool:
        with transaction.atomic():
            before = Client.objects.select_for_update(no_key=True).get(pk=self.pk).limits
            if before == wanted:
                return False
            Client.objects.filter(pk=self.pk).update(**wanted._asdict())
            data = {"from": before._asdict(), "to": wanted._asdict()}
            self.note(ClientEventKind.LIMITS, actor=actor, reason=reason, data=data)
        return True

    def note(
        self,
        kind: "ClientEventKind",
        *,
        actor: str,
        reason: str = "",
        data: dict[str, Any] | None = None,
    ) -> None:
        ClientEvent.objects.create(
            client=self,
            kind=kind,
            actor=actor,
            reason=reason,
            data=data or {},
            created_at=timezone.now(),
        )


class ClientEventKind(models.TextChoices):
    ADDED = "added", "added"
    KEY_MADE = "key_made", "key made"
    KEY_REVOKED = "key_revoked", "key revoked"
    LIMITS = "limits", "limits changed"
    DISABLED = "disabled", "disabled"
    ENABLED = "enabled", "enabled"


class ClientEvent(models.Model):
    """One change of a client or its keys; the database refuses to change or delete it.

    Attributes:
        actor: the name of the member of staff; empty for the command line, and for an issuer.
        reason: as the actor gave it.
        data: `issuer` of a client that one made; `key` (its prefix), `scopes` and `expires_at` of a
            new key; `key` of a revoked one; `from` and `to` of the limits.
    """

    id = models.BigAutoField(primary_key=True)
    client = models.ForeignKey(
        Client,
        # The database refuses to delete events.
        on_delete=models.PROTECT,
        related_name="events",
        # The index below replaces the one that Django would create.
        db_index=False,
    )
    kind = models.TextField(choices=ClientEventKind)
    actor = models.TextField(default="")
    reason = models.TextField(default="")
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "client_events"
        ordering = ("id",)
        # The permission to manage clients includes their events.
        default_permissions = ()
        indexes = (
            # The page of a client shows its events.
            models.Index(fields=["client", "id"], name="idx_client_events_client"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(kind__in=ClientEventKind.values), name="client_events_kind_known"
            ),
        )

    def __str__(self) -> str:
        return self.get_kind_display()


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
