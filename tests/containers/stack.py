"""The stack of docker-compose.yml, under a unique project name."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import requests

from tests.environment import ROOT

# With characters that are special in a URL, to a shell, to compose or in SQL.
SECRETS = {
    "POSTGRES_PASSWORD": "o%40@:/#?& $%+",
    "POSTGRES_SERVICE_PASSWORD": """p%40$HOME@:/#?&"\\ 'x${y}""",
    "ORCHESTRATOR_SECRET_KEY": "a-key-for-the-tests-$%" + "x" * 40,
}
# Services that use our own image; the others use images from a registry.
IMAGES = ("migrate", "reflex-layer", "web", "worker")
START_SECONDS = 120


class Stack:
    """All containers, from `docker build` to `docker compose down --volumes`.

    Args:
        folder: for the configuration of compose.
        build_options: options of `docker build`.
    """

    def __init__(self, folder: Path, build_options: list[str]) -> None:
        self._project = f"octollm-check-{os.getpid()}"
        self._image = f"octollm-orchestrator:{self._project}"
        self._build_options = build_options
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = listener.getsockname()[1]
        override = folder / "images.json"
        override.write_text(
            json.dumps({"services": {name: {"image": self._image} for name in IMAGES}})
        )
        # In place of the .env of production.
        self._env_file = folder / "env"
        self._env_file.write_text(f"ORCHESTRATOR_PORT={self._port}\nORCHESTRATOR_WORKERS=2\n")
        self._files = [ROOT / "docker-compose.yml", override]

    def __enter__(self) -> Self:
        try:
            run("docker", "build", *self._build_options, "--tag", self._image, ROOT)
            self.compose("up", "--detach", "--no-build")
            self.wait_until_ready()
        except BaseException:
            sys.stderr.write(self.compose("logs", "--no-color", check=False))
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.compose("down", "--volumes", "--remove-orphans", check=False)
        run("docker", "image", "rm", self._image, check=False)

    def compose(self, *arguments: str, check: bool = True) -> str:
        files = [option for file in self._files for option in ("--file", file)]
        names = ["--project-name", self._project, "--env-file", self._env_file]
        kept = {
            name: os.environ[name] for name in os.environ if not name.startswith("ORCHESTRATOR")
        }
        return run("docker", "compose", *names, *files, *arguments, check=check, env=kept | SECRETS)

    def python(self, service: str, code: str) -> str:
        """Run `code` in the container of a service; return what it prints."""
        return self.compose("exec", "--no-TTY", service, "python", "-c", code).strip()

    def inspect(self, service: str) -> dict[str, Any]:
        container = self.compose("ps", "--all", "--quiet", service).strip()
        found: dict[str, Any] = json.loads(run("docker", "inspect", container))[0]
        return found

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(
            method, f"http://127.0.0.1:{self._port}{path}", timeout=30, **options
        )

    def wait_until_ready(self) -> None:
        give_up_at = time.monotonic() + START_SECONDS
        while True:
            try:
                answer = self.request("GET", "/ready")
                if answer.status_code == 200:
                    return
                said = answer.text
            except requests.ConnectionError as error:
                said = str(error)
            assert time.monotonic() < give_up_at, said
            time.sleep(0.2)


def run(*command: "str | Path", check: bool = True, **options: Any) -> str:
    """Run a command and return its standard output; its standard error is passed through."""
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, **options)
    assert finished.returncode == 0 or not check, f"{command[:3]}: {finished.stdout}"
    return finished.stdout
