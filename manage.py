#!/usr/bin/env python
"""Django's command line, with plain words for what an operator can fix."""

import os
import signal
import sys

# Nothing is started yet: a Ctrl-C during the imports ends the process, without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from django.core.exceptions import ImproperlyConfigured  # noqa: E402
from django.core.management import execute_from_command_line  # noqa: E402
from django.db import Error as DatabaseError  # noqa: E402

from orchestrator_site.development import interrupts  # noqa: E402
from orchestrator_site.development.embedded import keep_to_embedded_database  # noqa: E402


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator_site.settings")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Set even where the shell had Ctrl-C ignored, and before anything is started.
        signal.signal(number, interrupts.interrupt)
    sys.unraisablehook = interrupts.report_unraisable
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


if __name__ == "__main__":
    main()
