"""`python -m api.health`: what a container's health check asks."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from api.health import complaint
from tests.services.processes import free_ports


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" else 503)
        self.end_headers()
        self.wfile.write(b'{"database": "not reachable"}')

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


def test_alive_and_not_ready(port: int) -> None:
    assert complaint(port, "/livez") is None
    assert "503" in str(complaint(port, "/readyz"))
    assert "not reachable" in str(complaint(port, "/readyz"))


def test_nobody_there() -> None:
    assert "does not answer" in str(complaint(free_ports(1)[0], "/livez"))
