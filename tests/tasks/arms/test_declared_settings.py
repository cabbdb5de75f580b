"""The settings of arms, read in a new process as at the start of the service."""

import json
import os
import subprocess
import sys

from tests.environment import ROOT

SHOW = """
import json
from orchestrator_site import settings
print(json.dumps([[arm.name for arm in settings.ARMS], settings.ARM_SECRETS]))
"""


def run(**variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", SHOW],
        cwd=ROOT,
        env=os.environ | {f"ORCHESTRATOR_{name}": value for name, value in variables.items()},
        capture_output=True,
        text=True,
    )


def faults(**variables: str) -> list[str]:
    finished = run(**variables)
    assert finished.returncode == 1
    assert "s3cret" not in finished.stdout + finished.stderr
    error = finished.stderr.partition("ImproperlyConfigured: ")[2]
    return error.splitlines()


def test_without_variables_there_are_no_arms() -> None:
    finished = run()
    assert json.loads(finished.stdout) == [[], {}]


def test_arms_and_secrets_are_read() -> None:
    finished = run(
        ARMS="words=octollm+http://localhost:8090,gpt-5=openai+https://api.example/v1?model=m",
        ARM_GPT_5_SECRET="sk-1",
        # An arm may be registered in the console.
        ARM_ANOTHER_SECRET="sk-2",
        # A variable of docker-compose.yml that is not set.
        ARM_WORDS_SECRET="",
    )
    assert json.loads(finished.stdout) == [
        ["words", "gpt-5"],
        {"gpt-5": "sk-1", "another": "sk-2"},
    ]


def test_faults_of_arms_and_secrets_stop_the_start_with_all_others() -> None:
    assert faults(
        ARMS="a=octollm+http://user:s3cret@h,b=octollm+http://h?room=s3cret",
        ARM_A_SECRET="s3cret with spaces",
        PORT="s3cret",
    ) == [
        "ORCHESTRATOR_ARMS: The url of arm a must have no user and password; use the arm's "
        "secret. The option room of arm b must be a whole number from 1 to 1000.",
        "ORCHESTRATOR_ARM_A_SECRET: must have 1 to 1000 characters, all of printable ASCII, "
        "without spaces and line breaks",
        "ORCHESTRATOR_PORT: Not a valid integer.",
    ]


def test_a_misspelt_variable_is_still_unknown() -> None:
    [fault] = faults(ARM_A_SECRETS="s3cret")
    assert fault.startswith("ORCHESTRATOR_ARM_A_SECRETS: is unknown")
