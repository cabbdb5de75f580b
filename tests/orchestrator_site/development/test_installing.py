"""How far an installation is, and what is said of one that fails."""

import subprocess
import sys

import pytest

from orchestrator_site.development.installing import progress_of
from tests.environment import ROOT

FETCHING = """\
Collecting Django==5.2.19 (from -r requirements.txt (line 4))
  Using cached django-5.2.19-py3-none-any.whl (8 MB)
Collecting asgiref==3.13.0 (from -r requirements.txt (line 19))
"""
INSTALLING = FETCHING + "Installing collected packages: sqlparse, asgiref, Django\n"


@pytest.mark.parametrize(
    ("log", "installed", "said"),
    [
        ("", 0, ("Fetching the requirements", "0 packages")),
        (FETCHING, 0, ("Fetching the requirements", "2 packages")),
        (INSTALLING, 0, ("Installing the requirements", "0 of 3 packages")),
        (INSTALLING, 2, ("Installing the requirements", "2 of 3 packages")),
        # Other packages may come at the same time.
        (INSTALLING, 9, ("Installing the requirements", "3 of 3 packages")),
    ],
)
def test_progress_is_read_from_what_pip_says(
    log: str, installed: int, said: tuple[str, str]
) -> None:
    assert progress_of(log, installed) == said


def install(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "orchestrator_site.development.installing", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_installation_that_works_is_one_line() -> None:
    finished = install("--no-index", "pip")
    assert finished.returncode == 0
    assert (finished.stdout, finished.stderr) == ("Fetching the requirements\n", "")


def test_installation_that_fails_shows_what_pip_says() -> None:
    finished = install("--no-index", "no-such-package-of-ours")
    assert finished.returncode == 1
    assert "No matching distribution found for no-such-package-of-ours" in finished.stderr
