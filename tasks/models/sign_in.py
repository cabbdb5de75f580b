"""The table `sign_ins`: who signed in to the console, and who failed to."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class SignInOutcome(models.TextChoices):
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"


class SignIn(models.Model):
    """One try to sign in to the console that was within the limits.

    Attributes:
        account: the name of the account; empty if there is none with the name that was typed,
            which may be a password in the wrong field.
    """

    id = models.BigAutoField(primary_key=True)
    account = models.TextField(default="")
    outcome = models.TextField(choices=SignInOutcome)
    client_address = models.TextField(default="")
    request_id = models.TextField(default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "sign_ins"
        verbose_name = "sign-in"
        ordering = ("-id",)
        default_permissions = ("view",)
        indexes = (
            # The console filters by outcome, newest first, and by day.
            models.Index(fields=["created_at"], name="idx_sign_ins_created_at"),
            models.Index(fields=["outcome", "created_at"], name="idx_sign_ins_outcome"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(outcome__in=SignInOutcome.values), name="sign_ins_outcome_known"
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_outcome_display()}: {self.account or 'unknown name'}"
