"""All settings. docs/settings.md explains each.

They come from environment variables that begin with ORCHESTRATOR_, and from a `.env` file, over
which real variables win. All invalid settings are reported at once, by the name of the variable
and without its value.
"""

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from dotenv import dotenv_values
from environs import Env, EnvValidationError, validate

from orchestrator_site import VERSION
from orchestrator_site.checks import (
    IS_SEVERITY,
    are_arms,
    are_hosts,
    are_origins,
    are_types,
    incomplete,
    is_action_by_type,
    is_amount,
    is_audience,
    is_database_url,
    is_database_url_if_given,
    is_http_url,
    is_issuer,
    is_rate_limit,
    is_safe_url,
    is_secret_key,
)
from orchestrator_site.database.url import entries_of
from orchestrator_site.development import embedded
from orchestrator_site.observability.log import logging_settings
from orchestrator_site.variables import (
    PREFIX,
    arm_secrets,
    forget_service_addresses,
    unknown_variables,
)
from safety.findings import Severity
from safety.policy import PiiAction
from tasks.arms.declared import parse_arms
from tasks.execution.runs.options import DEFAULT_DECISION_SECONDS, Planning, RunOptions, Undecided

BASE_DIR = Path(__file__).absolute().parent.parent
DATA_DIR = BASE_DIR / ".data"
ENV_FILE = BASE_DIR / ".env"

forget_service_addresses(os.environ)
env = Env(eager=False, prefix=PREFIX)
env.read_env(ENV_FILE, recurse=False)


# Makes a variable required.
NO_DEFAULT: Any = ...


def names(variable: str, default: str, **options: Any) -> list[str]:
    found = env.list(variable, default.split(","), subcast=str.strip, **options)
    # `found` is None if the value is invalid, which is reported with the other faults.
    return [name for name in found or [] if name]


# The variables.

# Development mode. Django's own DEBUG below stays off: its error pages, its SQL log and
# `connection.queries` would all hold the text of tasks.
DEVELOPMENT = env.bool("DEBUG", False)
# Without it, development uses the embedded PostgreSQL.
DATABASE_URL = env.str(
    "DATABASE_URL",
    "" if DEVELOPMENT else NO_DEFAULT,
    validate=is_database_url_if_given if DEVELOPMENT else is_database_url,
)
IS_DATABASE_URL_GIVEN = bool(DATABASE_URL)
REFLEX_URL = env.str("REFLEX_URL", "http://localhost:8080", validate=is_http_url)
# Without it, `make run` starts the bundled Reflex Layer.
IS_REFLEX_URL_GIVEN = bool(env.str("REFLEX_URL", ""))
ENABLE_REFLEX_INTEGRATION = env.bool("ENABLE_REFLEX_INTEGRATION", True)
LOG_LEVEL = env.str(
    "LOG_LEVEL", "INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"])
)
# Production listens on all addresses, as specified: a container cannot be reached otherwise.
HOST = env.str("HOST", "127.0.0.1" if DEVELOPMENT else "0.0.0.0")  # noqa: S104
PORT = env.int("PORT", 8000, validate=validate.Range(1, 65535))
SECRET_KEY = env.str("SECRET_KEY", "" if DEVELOPMENT else NO_DEFAULT, validate=is_secret_key)
ALLOWED_HOSTS = names("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]", validate=are_hosts)
CSRF_TRUSTED_ORIGINS = names("CSRF_TRUSTED_ORIGINS", "", validate=are_origins)
HTTPS = env.bool("HTTPS", not DEVELOPMENT)
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", 0, validate=validate.Range(0))
WORKERS = env.int("WORKERS", 4, validate=validate.Range(1))
# Some of them are reserved for probes, and the console gets extra threads; see
# orchestrator_site/serving/limits.py.
THREADS = env.int("THREADS", 8, validate=validate.Range(3))
MAX_BODY_BYTES = env.int("MAX_BODY_BYTES", 1_048_576, validate=validate.Range(1))
PII_ACTION = env.enum("PII_ACTION", PiiAction.BLOCK, enum=PiiAction, by_value=True)
OUTPUT_PII_ACTION = env.enum("OUTPUT_PII_ACTION", PiiAction.REDACT, enum=PiiAction, by_value=True)
pii_action_by_type: dict[str, str] = env.dict("PII_ACTION_BY_TYPE", {}, validate=is_action_by_type)
injection_blocks_from = env.str("INJECTION_BLOCKS_FROM", "high", validate=IS_SEVERITY)
output_injection_blocks_from = env.str("OUTPUT_INJECTION_BLOCKS_FROM", "high", validate=IS_SEVERITY)
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
ANONYMOUS_ACCESS = env.bool("ANONYMOUS_ACCESS", True)
# Without it, clients have keys only.
JWT_ISSUER = env.str("JWT_ISSUER", "", validate=is_issuer)
JWT_AUDIENCE = env.str("JWT_AUDIENCE", "", validate=is_audience)
# Without it, the issuer's discovery document gives the address.
JWT_JWKS_URL = env.str("JWT_JWKS_URL", "", validate=is_safe_url)
rate_limit = env.str("RATE_LIMIT", "", validate=is_rate_limit)
arms = env.str("ARMS", "", validate=are_arms)
max_cost_usd_per_task = env.str("MAX_COST_USD_PER_TASK", "", validate=is_amount)
max_cost_usd_per_day = env.str("MAX_COST_USD_PER_DAY", "", validate=is_amount)
PLANNING = env.str("PLANNING", "auto", validate=validate.OneOf([*Planning]))
UNDECIDED = env.str("UNDECIDED", "complete", validate=validate.OneOf([*Undecided]))
DECISION_SECONDS = env.int(
    "DECISION_SECONDS", DEFAULT_DECISION_SECONDS, validate=validate.Range(60, 31_536_000)
)
WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", 8, validate=validate.Range(1, 256))
WORKER_DRAIN_SECONDS = env.float("WORKER_DRAIN_SECONDS", 25, validate=validate.Range(0, 3600))
# Without it, workers use DATABASE_URL.
WORKER_DATABASE_URL = env.str("WORKER_DATABASE_URL", "", validate=is_database_url_if_given)
WORKER_METRICS_PORT = env.int("WORKER_METRICS_PORT", 0, validate=validate.Range(0, 65535))
faults: dict[str, Any] = {}
try:
    env.seal()
except EnvValidationError as error:
    faults.update(error.error_messages)  # type: ignore[arg-type]
# An invalid value counts as none, and has a fault already.
issuer = {"JWT_ISSUER": JWT_ISSUER, "JWT_AUDIENCE": JWT_AUDIENCE}
faults = incomplete(issuer, needed_by=issuer | {"JWT_JWKS_URL": JWT_JWKS_URL}) | faults
# By the arm's name, from ORCHESTRATOR_ARM_<NAME>_SECRET.
ARM_SECRETS, secret_faults = arm_secrets(os.environ)
faults |= secret_faults
given = {*dotenv_values(ENV_FILE), *os.environ}
faults |= unknown_variables(given, known={*env.dump(), *faults})
if faults:
    raise ImproperlyConfigured(
        "\n".join(f"{variable}: {' '.join(faults[variable])}" for variable in sorted(faults))
    )

# Settings of Django and its applications.
PII_ACTION_BY_TYPE = {name: PiiAction(action) for name, action in pii_action_by_type.items()}
# Requests a minute; None for no limit.
RATE_LIMIT = int(rate_limit) if rate_limit else None
# In US dollars; None for no limit.
MAX_COST_USD_PER_TASK = Decimal(max_cost_usd_per_task) if max_cost_usd_per_task else None
MAX_COST_USD_PER_DAY = Decimal(max_cost_usd_per_day) if max_cost_usd_per_day else None
ARMS = parse_arms(arms)
RUN_OPTIONS = RunOptions(Planning(PLANNING), Undecided(UNDECIDED), DECISION_SECONDS)
INJECTION_BLOCKS_FROM = Severity[injection_blocks_from.upper()]
OUTPUT_INJECTION_BLOCKS_FROM = Severity[output_injection_blocks_from.upper()]
INJECTION_FLAGS_FROM = Severity[injection_flags_from.upper()]
if DEVELOPMENT:
    SECRET_KEY = SECRET_KEY or embedded.secret_key(DATA_DIR)
    DATABASE_URL = DATABASE_URL or embedded.database_url(DATA_DIR)

DEBUG = False
APPEND_SLASH = False
ROOT_URLCONF = "orchestrator_site.urls"
WSGI_APPLICATION = "orchestrator_site.wsgi.application"
DATABASES = {
    "default": {
        "ENGINE": "orchestrator_site.database",
        # Each thread keeps its connection, and checks before each request that it still works.
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        **entries_of(DATABASE_URL),
    }
}
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
    "procrastinate.contrib.django",
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
# Static files are served from the installed packages, without `collectstatic`.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

# orchestrator_site/console/signing_in.py sets the end of each session when it begins.
SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
CSRF_FAILURE_VIEW = "orchestrator_site.problems.csrf_failure"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
# Redirects to HTTPS and HSTS belong to the proxy that terminates TLS.
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008"]
X_FRAME_OPTIONS = "DENY"
# Pages load our own files only; inline scripts and styles are blocked.
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

# By default, procrastinate would import every module that is named `tasks`.
PROCRASTINATE_AUTODISCOVER_MODULE_NAME = None
PROCRASTINATE_IMPORT_PATHS = ["tasks.execution.worker.jobs"]

# The gauge of migrations would query the database at every start.
PROMETHEUS_EXPORT_MIGRATIONS = False

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "orchestrator_site.browsable.BrowsableRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": ["tasks.api.parsers.StrictJSONParser"],
    # The base class of our views authenticates clients: its keys belong to no user of Django.
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
    # Deep links would put a link into each button; keyboards and screen readers cannot tell the
    # two apart.
    "SWAGGER_UI_SETTINGS": {"deepLinking": False},
    "COMPONENT_SPLIT_REQUEST": True,
    "TAGS": [{"name": "tasks"}, {"name": "clients"}, {"name": "service"}],
    # The first version in which an operation may name the scopes of a key.
    "OAS_VERSION": "3.1.0",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "tasks.api.schema.add_security_schemes",
    ],
    "ENUM_NAME_OVERRIDES": {
        "Status": "tasks.states.Status",
        "Priority": "tasks.states.Priority",
        "VerdictEnum": "safety.policy.Verdict",
    },
}
