"""A signal has an effect even if it arrives while Python runs a finalizer."""

import subprocess
import sys

from tests.environment import ROOT

SCRIPT = """
import os, signal, sys
from orchestrator_site.development import interrupts

signal.signal(signal.SIGINT, interrupts.interrupt)
sys.unraisablehook = interrupts.report_unraisable
interrupts.check()

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

value = Finalized()
del value
print("goes on")
try:
    interrupts.check()
except KeyboardInterrupt:
    print("stops")
"""


def test_signal_in_a_finalizer_stops_the_process_at_the_next_check() -> None:
    command = [sys.executable, "-c", SCRIPT]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (finished.stdout, finished.stderr) == ("goes on\nstops\n", "")
