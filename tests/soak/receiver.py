"""A webhook's other end: keeps which jobs it was told have ended, and refuses every tenth message once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from store.states import TERMINAL


class Receiver:
    def __init__(self) -> None:
        self.url = ""
        self.ended: dict[str, str] = {}
        self.messages = self.repeated = 0
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def take(self, message_id: str, body: bytes) -> int:
        """The status to answer with."""
        with self._lock:
            self.messages += 1
            if self.messages % 10 == 0:
                return 503
            self.repeated += message_id in self._seen
            self._seen.add(message_id)
            data = json.loads(body)["data"]
            if data.get("status") in TERMINAL:
                self.ended[data["job_id"]] = data["status"]
            return 204


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(receiver.take(self.headers["webhook-id"], body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return None

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{served.server_port}/hook"
    threading.Thread(target=served.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        served.shutdown()
        served.server_close()
