"""All settings. The variables of the environment begin with ORCHESTRATOR_; a `.env` file
is read as well, and real variables win over it. docs/settings.md explains each.

Faults are reported all at once, by the name of the variable and without its value.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from dotenv import dotenv_values
from environs import Env, EnvValidationError, ValidationError, validate

from orchestrator_site import VERSION
from orchestrator_site.database.url import parse_database_url
from orchestrator_site.development import embedded as development
from orchestrator_site.observability.log import logging_settings
from orchestrator_site.variables import PREFIX, forget_service_addresses, unknown_variables
from safety.findings import CUSTOM_TYPE, INJECTION_TYPES, PII_TYPES, Severity
from safety.policy import PiiAction

BASE_DIR = Path(__file__).absolute().parent.parent
DATA_DIR = BASE_DIR / ".data"
ENV_FILE = BASE_DIR / ".env"

forget_service_addresses(os.environ)
env = Env(eager=False, prefix=PREFIX)
env.read_env(ENV_FILE, recurse=False)


# Makes a variable required.
NO_DEFAULT: Any = ...
# As many as the key of an HMAC-SHA256 has bytes.
SECRET_KEY_CHARACTERS: Final = 32
ALL_TYPES: Final = PII_TYPES | INJECTION_TYPES | {CUSTOM_TYPE}


def is_database_url(value: str) -> None:
    if DEVELOPMENT and not value:
        return
    try:
        parse_database_url(value)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def is_http_url(value: str) -> None:
    try:
        parts = urlsplit(value)
        # Reading the port checks it.
        is_valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        is_valid = is_valid and not parts.query and not parts.fragment and " " not in value
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValidationError("must look like http://host:8080")


def is_secret_key(value: str) -> None:
    if len(value) < SECRET_KEY_CHARACTERS:
        raise ValidationError(
            f"must have at least {SECRET_KEY_CHARACTERS} characters; one is made by: "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"
        )


def are_hosts(values: list[str]) -> None:
    # Anything else never equals a Host header, whose port Django leaves out.
    if not all(
        re.fullmatch(r"\*|[\w.-]+|\[[0-9a-fA-F:.]+\]", value) for value in filter(None, values)
    ):
        raise ValidationError(
            "must be hosts such as orchestrator.example or [::1], without scheme, port and path"
        )


def are_origins(values: list[str]) -> None:
    if not all(value.startswith(("http://", "https://")) for value in filter(None, values)):
        raise ValidationError("must be origins such as https://console.example")


def listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def are_types(values: list[str]) -> None:
    if not {*filter(None, values)} <= ALL_TYPES:
        raise ValidationError(f"must be some of {listed(ALL_TYPES)}")


def is_action_by_type(value: dict[str, str]) -> None:
    actions = [action.value for action in PiiAction]
    types = PII_TYPES | {CUSTOM_TYPE}
    if not value.keys() <= types or not {*value.values()} <= {*actions}:
        raise ValidationError(
            f"must be types and what they do, such as Email=redact: {listed(types)}; each "
            f"{listed(actions)}"
        )


IS_SEVERITY = validate.OneOf([severity.name.lower() for severity in Severity])


def names(variable: str, default: str, **options: Any) -> list[str]:
    found = env.list(variable, default.split(","), subcast=str.strip, **options)
    # None where the value is wrong, which is reported with the other faults.
    return [name for name in found or [] if name]


# The variables.

# Development mode. Django's own DEBUG below stays off: its error pages, its query log and
# its memory of queries all hold the text of tasks.
DEVELOPMENT = env.bool("DEBUG", False)
DATABASE_URL = env.str("DATABASE_URL", "" if DEVELOPMENT else NO_DEFAULT, validate=is_database_url)
# In development the embedded PostgreSQL stands in where it is empty.
IS_DATABASE_URL_GIVEN = bool(DATABASE_URL)
REFLEX_URL = env.str("REFLEX_URL", "http://localhost:8080", validate=is_http_url)
# Without it, `make run` starts the bundled Reflex Layer.
IS_REFLEX_URL_GIVEN = bool(env.str("REFLEX_URL", ""))
ENABLE_REFLEX_INTEGRATION = env.bool("ENABLE_REFLEX_INTEGRATION", True)
LOG_LEVEL = env.str(
    "LOG_LEVEL", "INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"])
)
# All addresses in production, as specified: a container has no other way.
HOST = env.str("HOST", "127.0.0.1" if DEVELOPMENT else "0.0.0.0")  # noqa: S104
PORT = env.int("PORT", 8000, validate=validate.Range(1, 65535))
SECRET_KEY = env.str("SECRET_KEY", "" if DEVELOPMENT else NO_DEFAULT, validate=is_secret_key)
ALLOWED_HOSTS = names("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]", validate=are_hosts)
CSRF_TRUSTED_ORIGINS = names("CSRF_TRUSTED_ORIGINS", "", validate=are_origins)
HTTPS = env.bool("HTTPS", not DEVELOPMENT)
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", 0, validate=validate.Range(0))
WORKERS = env.int("WORKERS", 4, validate=validate.Range(1))
# Two of them are kept for health checks, and the console has some of its own beside them; see
# orchestrator_site/serving/limits.py.
THREADS = env.int("THREADS", 8, validate=validate.Range(3))
MAX_BODY_BYTES = env.int("MAX_BODY_BYTES", 1_048_576, validate=validate.Range(1))
PII_ACTION = env.enum("PII_ACTION", PiiAction.BLOCK, enum=PiiAction, by_value=True)
pii_action_by_type: dict[str, str] = env.dict("PII_ACTION_BY_TYPE", {}, validate=is_action_by_type)
injection_blocks_from = env.str("INJECTION_BLOCKS_FROM", "high", validate=IS_SEVERITY)
injection_flags_from = env.str("INJECTION_FLAGS_FROM", "low", validate=IS_SEVERITY)
IGNORED_TYPES = names("IGNORED_TYPES", "", validate=are_types)
REFLEX_DEADLINE_SECONDS = env.float(
    "REFLEX_DEADLINE_SECONDS", 2, validate=validate.Range(0, min_inclusive=False)
)
CIRCUIT_FAILURES = env.int("CIRCUIT_FAILURES", 5, validate=validate.Range(1))
CIRCUIT_RESET_SECONDS = env.float(
    "CIRCUIT_RESET_SECONDS", 2, validate=validate.Range(0, min_inclusive=False)
)
DATABASE_TIMEOUT_SECONDS = env.float(
    "DATABASE_TIMEOUT_SECONDS", 5, validate=validate.Range(0, min_inclusive=False)
)
faults: dict[str, Any] = {}
try:
    env.seal()
except EnvValidationError as error:
    faults.update(error.error_messages)  # type: ignore[arg-type]
given = {*dotenv_values(ENV_FILE), *os.environ}
faults |= unknown_variables(given, known={*env.dump(), *faults})
if faults:
    raise ImproperlyConfigured(
        "\n".join(f"{variable}: {' '.join(faults[variable])}" for variable in sorted(faults))
    )

# What Django and its applications make of them.
PII_ACTION_BY_TYPE = {name: PiiAction(action) for name, action in pii_action_by_type.items()}
INJECTION_BLOCKS_FROM = Severity[injection_blocks_from.upper()]
INJECTION_FLAGS_FROM = Severity[injection_flags_from.upper()]
if DEVELOPMENT:
    SECRET_KEY = SECRET_KEY or development.secret_key(DATA_DIR)
    DATABASE_URL = DATABASE_URL or development.database_url(DATA_DIR)

DEBUG = False
APPEND_SLASH = False
ROOT_URLCONF = "orchestrator_site.urls"
WSGI_APPLICATION = "orchestrator_site.wsgi.application"
DATABASES = {
    "default": {
        "ENGINE": "orchestrator_site.database",
        # A thread keeps its connection, and looks before each request whether it still leads
        # anywhere.
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        **parse_database_url(DATABASE_URL),
    }
}
DATABASES["default"]["OPTIONS"] |= {
    # Ends on the server what nobody waits for any more.
    "options": "-c client_connection_check_interval=1000",
    # The database plans a statement once per connection, not once per request.
    "server_side_binding": True,
    "prepare_threshold": 5,
} | DATABASES["default"]["OPTIONS"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "orchestrator_site",
    "orchestrator_site.console.config.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",
    "django_prometheus",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "safety",
    "tasks",
]
MIDDLEWARE = [
    "orchestrator_site.serving.content_security.ContentSecurityMiddleware",
    "orchestrator_site.observability.request_id.RequestIdMiddleware",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "orchestrator_site.observability.observation.ObservationMiddleware",
    "orchestrator_site.serving.limits.AdmissionMiddleware",
    "orchestrator_site.serving.limits.ConcurrencyMiddleware",
    "orchestrator_site.serving.limits.DatabaseAllowanceMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "orchestrator_site.console.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "orchestrator_site.console.middleware.AuthenticationMiddleware",
    "orchestrator_site.console.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "orchestrator_site.observability.django_metrics.PrometheusAfterMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "orchestrator_site/console/templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
# The console has a widget template of its own. Django's default renderer would not look into DIRS.
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
# orchestrator_site/serving/limits.py bounds bodies. No form here has a file field: uploaded files
# are read and dropped.
DATA_UPLOAD_MAX_MEMORY_SIZE = None
FILE_UPLOAD_HANDLERS: list[str] = []

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "orchestrator_site/console/static"]
# Static files come straight out of the installed packages: nothing to collect, no folder.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
CSRF_FAILURE_VIEW = "orchestrator_site.problems.csrf_failure"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
# Redirects to HTTPS and HSTS belong to the proxy that ends TLS.
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008"]
X_FRAME_OPTIONS = "DENY"
# Nothing that a page holds is run or styled by, only files of our own.
SECURE_CSP = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "base-uri": ["'none'"],
}

LOGGING = logging_settings(LOG_LEVEL, is_for_people=DEVELOPMENT)

# A gauge of migrations would ask the database at every start.
PROMETHEUS_EXPORT_MIGRATIONS = False

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "orchestrator_site.browsable.BrowsableRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": ["tasks.api.parsers.StrictJSONParser"],
    # The specification has none yet.
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "orchestrator_site.problems.answer_api_error",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "orchestrator_site.browsable.Negotiation",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "OctoLLM Orchestrator",
    "DESCRIPTION": "Submit tasks for AI systems; every text is screened before it is stored.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    # It would put links into buttons, which a keyboard or a screen reader cannot tell apart.
    "SWAGGER_UI_SETTINGS": {"deepLinking": False},
    "COMPONENT_SPLIT_REQUEST": True,
    "TAGS": [{"name": "tasks"}, {"name": "service"}],
    "ENUM_NAME_OVERRIDES": {"Status": "tasks.states.Status", "Priority": "tasks.states.Priority"},
}
