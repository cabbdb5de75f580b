#!/usr/bin/env python
"""Django's command line, with plain words for what an operator can fix."""

import os
import signal
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import Error as DatabaseError

from orchestrator_site.development import keep_to_embedded_database


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator_site.settings")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Set even where the shell had Ctrl-C ignored, and before anything is started.
        signal.signal(number, _interrupt)
    keep_to_embedded_database(sys.argv, os.environ)
    try:
        # Django itself puts off the faults of settings for some commands.
        import orchestrator_site.settings  # noqa: F401, PLC0415

        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)
    except ImproperlyConfigured as error:
        sys.exit(f"Wrong settings:\n{error}")
    except DatabaseError as error:
        reason = " ".join(str(error).split())
        sys.exit(f"The database cannot be used (ORCHESTRATOR_DATABASE_URL): {reason}")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
