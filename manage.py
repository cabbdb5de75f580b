#!/usr/bin/env python
"""Django's command line, with plain words for what an operator can mend."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator_site.settings")
    try:
        # Django itself puts off the faults of settings for some commands.
        import orchestrator_site.settings  # noqa: F401, PLC0415

        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Wrong settings:\n{error}")
    except OperationalError as error:
        reason = " ".join(str(error).split())
        sys.exit(f"The database cannot be reached (ORCHESTRATOR_DATABASE_URL): {reason}")


if __name__ == "__main__":
    main()
