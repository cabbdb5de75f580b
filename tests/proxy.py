"""nginx in front of a service, with the configuration that we ship."""

import os
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any, Self

import requests

from tests.certificate import CERTIFICATE
from tests.environment import ROOT

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
SHIPPED = (ROOT / "docs" / "nginx.conf").read_text()
STOP_SECONDS = 30
ANSWER_SECONDS = 30
# Folders for nginx's temporary files, which by default are folders of the system.
TEMPORARY = "".join(
    f"{kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


class Proxy:
    """A running nginx with the shipped configuration, except for addresses and folders.

    Args:
        folder: where nginx keeps its files.
        ports: the local ports of the services behind it.
    """

    def __init__(self, folder: Path, *ports: int) -> None:
        self.log = folder / "error.log"
        self.certificate = folder / "certificate.pem"
        self.certificate.write_text(CERTIFICATE)
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = listener.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        (folder / "nginx.conf").write_text(self._configuration(ports))
        command = [str(NGINX), "-p", str(folder), "-c", "nginx.conf", "-e", str(self.log)]
        directives = f"daemon off; pid {folder}/nginx.pid;"
        if os.geteuid() == 0:
            # Another user has no access to pytest's folders.
            directives += " user root;"
        # nginx takes over the socket as if from an earlier nginx. The socket listens before nginx
        # starts, so no test has to wait for the start. It must not block: otherwise, a worker that
        # loses a connection to another worker hangs until the next connection.
        listener.setblocking(False)
        with listener:
            self.process = subprocess.Popen(
                [*command, "-g", directives],
                env=os.environ | {"NGINX": f"{listener.fileno()};"},
                pass_fds=[listener.fileno()],
            )

    def _configuration(self, ports: tuple[int, ...]) -> str:
        replacements = {
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
            "server 127.0.0.1:8000;": "".join(f"server 127.0.0.1:{port};" for port in ports),
            "/etc/nginx/tls/orchestrator.crt": str(self.certificate),
            "/etc/nginx/tls/orchestrator.key": str(self.certificate),
            "/var/log/nginx/error.log": str(self.log),
            "http {": "http {" + TEMPORARY,
        }
        text = SHIPPED
        for shipped, own in replacements.items():
            assert text.count(shipped) == 1, shipped
            text = text.replace(shipped, own)
        return text

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        assert self.process.wait(STOP_SECONDS) == 0

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(
            method,
            self.url + path,
            timeout=ANSWER_SECONDS,
            allow_redirects=False,
            verify=str(self.certificate),
            **options,
        )

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def connect(self, source: str = "127.0.0.1") -> ssl.SSLSocket:
        """Open a TLS connection from the local address `source`."""
        peer = socket.create_connection(
            ("127.0.0.1", self.port), timeout=ANSWER_SECONDS, source_address=(source, 0)
        )
        context = ssl.create_default_context(cafile=self.certificate)
        return context.wrap_socket(peer, server_hostname="127.0.0.1")
