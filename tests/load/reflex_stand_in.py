"""nginx in place of the Reflex Layer and an arm: answers that cost very little."""

import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.reflex_layer import answer

START_SECONDS = 10
STOP_SECONDS = 10
COMPLETION = {
    "choices": [{"message": {"content": "The reviews are positive."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 120, "completion_tokens": 8},
    "data": [],
}
PLAN_STEPS = 20
PLAN_WIDTH = 4
# Four lines of steps side by side.
PLAN = {
    "plan_id": "plan-1",
    "steps": [
        {
            "step_number": number,
            "action": f"Do part {number}",
            "arm_id": "execute",
            "acceptance_criteria": [],
            "dependencies": [number - PLAN_WIDTH] if number > PLAN_WIDTH else [],
            "estimated_duration_seconds": 1,
        }
        for number in range(1, PLAN_STEPS + 1)
    ],
    "confidence": 0.9,
    "provenance": {"arm_id": "planner", "tokens_consumed": 100, "estimated_cost_usd": 0},
}
CONFIGURATION = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {folder}/nginx-bodies;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            default_type application/json;
            return 200 '{answer}';
        }}
        # An arm that plans; its plan is always the same.
        location /plan {{
            default_type application/json;
            return 200 '{plan}';
        }}
        location /health {{
            default_type application/json;
            return 200 '{{"status": "healthy"}}';
        }}
        # A model server, whose answer is always the same.
        location /v1/ {{
            default_type application/json;
            return 200 '{completion}';
        }}
    }}
}}
"""


class ReflexStandIn:
    """A running nginx.

    Args:
        nginx: path of the program.
        folder: for its files.
    """

    def __init__(self, nginx: str, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        configuration = folder / "nginx.conf"
        configuration.write_text(
            CONFIGURATION.format(
                folder=folder,
                port=self._port,
                answer=json.dumps(answer()),
                completion=json.dumps(COMPLETION),
                plan=json.dumps(PLAN),
            )
        )
        self._log = folder / "nginx.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [nginx, "-e", "stderr", "-c", configuration], stdout=log, stderr=log
            )

    def __enter__(self) -> Self:
        deadline_at = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline_at:
                self.__exit__()
                raise SystemExit(f"nginx did not start:\n{self._log.read_text()}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(STOP_SECONDS)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True
