"""Between the `minio` client and the S3 server: an HTTP proxy that can be away, refuse, cut off, lie, or be slow."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

Kind = Literal["error", "truncated", "shortened", "flipped", "damaged", "slow"]
ERROR = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>of the tests</Message></Error>"
HOP = {"connection", "transfer-encoding", "keep-alive"}


@dataclass
class Fault:
    """What happens to the next `times` requests of a method whose path has `within` in it.

    error: 500 without asking the server. truncated: the answer breaks off halfway. shortened: the answer says that half
    is all. flipped: one byte of the answer's body is another. damaged: one byte of the request's body is another.
    slow: the answer comes `seconds` late.
    """

    kind: Kind
    method: str
    within: str
    times: int = 1
    seconds: float = 1.0


class Proxy:
    """`endpoint` for the client. `away()` closes the port and every connection; faults are used up in order."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.faults: list[Fault] = []
        self.trip = ""  # the first PUT of a path with this in it finds the server going away
        self._lock = threading.Lock()
        self._port = 0
        self._server: _Server | None = None
        self.back()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def add(self, kind: Kind, method: str, within: str, times: int = 1, seconds: float = 1.0) -> Fault:
        fault = Fault(kind, method, within, times, seconds)
        with self._lock:
            self.faults.append(fault)
        return fault

    def take(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and fault.within in path:
                    fault.times -= 1
                    return fault
        return None

    def away(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.cut()

    def back(self) -> None:
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False

    def __init__(self, address: tuple[str, int], proxy: Proxy) -> None:
        self.proxy, self.open = proxy, set[socket.socket]()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.open.add(connection)
        return connection, address

    def cut(self) -> None:
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        proxy: Proxy = self.server.proxy  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if proxy.trip and self.command == "PUT" and proxy.trip in self.path:
            proxy.trip, self.close_connection = "", True
            return proxy.away()
        fault = proxy.take(self.command, self.path)
        kind = fault.kind if fault else None
        if fault and kind == "slow":
            time.sleep(fault.seconds)
        if kind == "error":
            return self._answer(500, {"Content-Type": "application/xml"}, ERROR)
        status, headers, answer = self._forward(_flip(body) if kind == "damaged" else body)
        if kind == "flipped" and status < 300:
            answer = _flip(answer)
        if kind == "shortened":
            answer = answer[: len(answer) // 2]
        length = len(answer)
        if kind == "truncated":
            answer = answer[: length // 2]
        self._answer(status, headers, answer, length)
        if kind == "truncated":
            self.connection.shutdown(socket.SHUT_RDWR)
        return None

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815 - the library's protocol

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """As it came, `Host` included: the signature covers it."""
        proxy: Proxy = self.server.proxy  # type: ignore[attr-defined]
        upstream = http.client.HTTPConnection(proxy.upstream, timeout=60)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP:
                upstream.putheader(name, value)
        upstream.endheaders(body)
        answer = upstream.getresponse()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in HOP}
        try:
            return answer.status, headers, answer.read()
        finally:
            upstream.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes, length: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        told = headers.get("Content-Length", "0") if self.command == "HEAD" else str(length or len(body))
        self.send_header("Content-Length", told)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


def _flip(body: bytes) -> bytes:
    """One bit in the middle is another."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body


@contextmanager
def running(upstream: str) -> Iterator[Proxy]:
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.away()
