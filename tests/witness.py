"""A witness arm: it writes each key that it is asked to carry out to a file of its own.

It knows nothing of the database, and forgets nothing that it was asked for.
"""

import socket
from collections import Counter
from pathlib import Path

from tests.arms import Behaviour, Received, ScriptedArm, works


class WitnessArm(ScriptedArm):
    """Appends the key of each request for work to `file`, before it behaves like `then`."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.file.touch()
        self.then: Behaviour = works()
        self.behaviour = self._witness

    def _witness(self, request: Received, connection: socket.socket) -> bool:
        with self.file.open("a") as file:
            file.write(request.headers["idempotency-key"] + "\n")
        return self.then(request, connection)

    @property
    def carried_out(self) -> Counter[str]:
        """How often it was asked for each key."""
        return Counter(self.file.read_text().split())
