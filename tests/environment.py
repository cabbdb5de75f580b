"""The default settings, and a PostgreSQL for pytest that starts before Django is set up."""

import atexit
import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from orchestrator_site.development import embedded

ROOT = Path(__file__).parent.parent


def use_defaults() -> None:
    """Set the environment to the defaults of production, without the URL of a database."""
    for name in [name for name in os.environ if name.startswith("ORCHESTRATOR_")]:
        del os.environ[name]
    # With every variable set, a developer's .env has no effect.
    example = (ROOT / ".env.example").read_text()
    os.environ |= dict(re.findall(r"^# (ORCHESTRATOR_\w+)=(.*)$", example, re.MULTILINE))
    os.environ |= {
        "ORCHESTRATOR_SECRET_KEY": "a-key-for-the-tests-" + "x" * 40,
        "ORCHESTRATOR_HTTPS": "false",
    }


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Prepare the environment before pytest-django loads the settings.

    Each process that runs tests has a server of its own, since tests make roles and databases, and
    look at all locks of a server.
    """
    use_defaults()
    if only_hands_out_tests(early_config):
        os.environ["ORCHESTRATOR_DATABASE_URL"] = "postgresql://nowhere/none"
        return
    # A shell makes background processes ignore Ctrl-C. Processes that tests start would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-tests-"))
    # Registered first, so that it runs after PostgreSQL has stopped.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    os.environ["ORCHESTRATOR_DATABASE_URL"] = embedded.database_url(folder)


def only_hands_out_tests(config: pytest.Config) -> bool:
    """Return whether other processes run the tests for this one (`pytest -n 2`)."""
    distributes = bool(getattr(config.known_args_namespace, "numprocesses", None))
    # Those processes are given the same options.
    return distributes and "PYTEST_XDIST_WORKER" not in os.environ
