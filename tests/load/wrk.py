"""Runs wrk, and reads its report about the answers."""

import json
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SCRIPT = Path(__file__).with_name("requests.lua")
# A slower answer is an error. wrk allocates a counter for each microsecond of this time.
TIMEOUT_SECONDS = 10
BODY = {
    "goal": "Analyze sentiment of user reviews, batch NUMBER",
    "constraints": ["No PII in output", "Complete within 5 minutes"],
    "context": {"user_id": "user123", "source": "web_app"},
    "acceptance_criteria": ["Sentiment score between -1 and 1"],
    "priority": "high",
    "budget": {"max_cost_usd": 0.50, "max_time_seconds": 300, "max_tokens": 2000},
}

Kind = Literal["submit", "read", "mixed"]
REQUESTS: dict[Kind, str] = {"submit": "`POST /submit`", "read": "`GET /tasks/{id}`"}


@dataclass(frozen=True)
class Answers:
    """The answers to a number of connections that each send one request after the other.

    Attributes:
        seconds: how long requests were sent.
        good: number of 2xx answers.
        refused: number of 503 answers.
        errors: number of other answers, broken connections, and requests without an answer.
        p50, p90, p95, p99, max: latency of all answers, in milliseconds, as wrk corrects it.
        mean: latency in milliseconds, without the correction of wrk.
    """

    seconds: float
    good: int
    refused: int
    errors: int
    p50: float
    p90: float
    p95: float
    p99: float
    max: float
    mean: float

    @property
    def count(self) -> int:
        return self.good + self.refused + self.errors


class Client:
    """A client that sends requests with wrk.

    Args:
        folder: for the files that wrk reads.
        url: of the service.
        credential: a key or token, sent with each request; empty for anonymous requests.
    """

    def __init__(self, folder: Path, url: str, credential: str = "") -> None:
        self._folder = folder
        self._url = url
        self._credential = credential
        self._body = folder / "body.json"
        self._body.write_text(json.dumps(BODY))
        self._ids = folder / f"ids-{zlib.crc32(credential.encode())}"

    def showing(self, credential: str) -> "Client":
        return Client(self._folder, self._url, credential)

    def read(self, task_ids: list[str]) -> None:
        """Read these tasks from now on."""
        self._ids.write_text("\n".join(task_ids))

    def run(self, kind: Kind, connections: int, seconds: int) -> Answers:
        """Send requests over `connections` concurrent connections; return the answers.

        Raises:
            SystemExit: wrk failed, or no answer was 2xx.
        """
        command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s"]
        command += [f"--timeout={TIMEOUT_SECONDS}s", f"--script={SCRIPT}", self._url]
        command += [kind, str(self._body), str(self._ids), self._credential]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"wrk failed:\n{done.stdout}{done.stderr}")
        figures = json.loads(done.stdout.splitlines()[-1])
        if not figures["good"]:
            raise SystemExit(f"No request was answered with 2xx:\n{done.stdout}")
        return answers_of(figures, connections)


def answers_of(figures: dict[str, float], connections: int) -> Answers:
    """Convert the JSON that requests.lua writes."""
    sent, wrong, socket_errors = (
        int(figures.pop(name)) for name in ("sent", "wrong", "socket_errors")
    )
    answered = int(figures["good"] + figures["refused"]) + wrong
    # wrk silently reconnects if a connection ends before the answer. The requests under way at the
    # end have no answer either, nor has the one request that wrk makes to try the script.
    unanswered = max(0, sent - answered - connections - 1)
    return Answers(
        **figures,
        errors=wrong + max(socket_errors, unanswered),
        mean=figures["seconds"] * connections / answered * 1000,
    )
