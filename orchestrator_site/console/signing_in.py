"""The limits of signing in, and the record of who did.

An address may try so often a minute, and each name from one address less often. Nobody can lock an
account by trying its name: a browser that signed in under a name before carries a signed cookie,
and has limits of its own.
"""

import logging
import secrets
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, Signer
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from safety.origin import origin_of
from tasks.clients.rate_limits import address_key, count
from tasks.models import SignIn
from tasks.models.sign_in import SignInOutcome

logger = logging.getLogger(__name__)

# Tries a minute. A password has more than enough bits for these.
FROM_ADDRESS: Final = 30
FROM_ADDRESS_UNDER_NAME: Final = 5
FROM_KNOWN_BROWSER: Final = 5

SESSION_LASTS: Final = timedelta(seconds=settings.SESSION_COOKIE_AGE)
BROWSER_COOKIE: Final = "known_browser"
BROWSER_COOKIE_LASTS: Final = timedelta(days=365)
# Of the accounts that one browser uses.
MAX_NAMES: Final = 5
# It brings the many ways to write the same name into one, as Django's own form does.
_NAME: Final = UsernameField(max_length=User._meta.get_field("username").max_length)
_SIGNER: Final = Signer(salt="orchestrator_site.console.signing_in")


def count_try(request: HttpRequest) -> None:
    """Count a try to sign in.

    Raises:
        RateLimited: there were too many; the password is not even looked at.
    """
    name = _digest(_typed_name(request))
    browser, names = _known_browser(request)
    if name in names:
        count(f"sign-in:browser:{browser}:{name}", FROM_KNOWN_BROWSER)
        return
    address = address_key(origin_of(request).client_address)
    count(f"sign-in:{address}", FROM_ADDRESS)
    count(f"sign-in:{address}:{name}", FROM_ADDRESS_UNDER_NAME)


def record(request: HttpRequest, response: HttpResponse) -> None:
    """Record the outcome of a try that was within the limits, and start the session's clock."""
    # A failure shows the form again.
    is_success = response.status_code == 302
    if is_success:
        account = request.user.get_username()
        # Absolute: the session ends then however much it is used.
        request.session.set_expiry(timezone.now() + SESSION_LASTS)
        _remember_browser(request, response, account)
    else:
        # A name that does not exist may be a password in the wrong field.
        typed = _typed_name(request)
        account = typed if User.objects.filter(username=typed).exists() else ""
    outcome = SignInOutcome.SUCCEEDED if is_success else SignInOutcome.FAILED
    origin = origin_of(request)
    SignIn.objects.create(
        account=account,
        outcome=outcome,
        client_address=origin.client_address,
        request_id=origin.request_id,
    )
    logger.log(
        logging.INFO if is_success else logging.WARNING,
        "Sign-in to the console",
        extra={
            "outcome": outcome.value,
            "account": account,
            "client_address": origin.client_address,
        },
    )


def _known_browser(request: HttpRequest) -> tuple[str, list[str]]:
    """Return the id of the browser, and the digests of the names that signed in there."""
    try:
        browser, *names = _SIGNER.unsign_object(request.COOKIES.get(BROWSER_COOKIE, ""))
    except BadSignature:
        return secrets.token_urlsafe(12), []
    return browser, names


def _remember_browser(request: HttpRequest, response: HttpResponse, account: str) -> None:
    browser, names = _known_browser(request)
    name = _digest(account)
    kept: list[Any] = [other for other in names if other != name][-(MAX_NAMES - 1) :]
    response.set_cookie(
        BROWSER_COOKIE,
        _SIGNER.sign_object([browser, *kept, name]),
        max_age=BROWSER_COOKIE_LASTS,
        path="/admin/",
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


def _typed_name(request: HttpRequest) -> str:
    """Return the name as Django's form compares it; empty if no account can have it."""
    try:
        name: str = _NAME.clean(request.POST.get("username", ""))
    except ValidationError:
        return ""
    return name


def _digest(name: str) -> str:
    """Return what stands for a name in cookies and in keys of limits."""
    return salted_hmac("orchestrator_site.console.signing_in", name).hexdigest()[:32]
