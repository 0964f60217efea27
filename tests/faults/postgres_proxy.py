"""Between a worker and Postgres: a relay that lets a COMMIT through and swallows the answer to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK = 1 << 16


class CommitCutter:
    """While `armed` > 0, every `every`-th COMMIT is carried out by the server but never answered: the connection
    breaks. The client cannot know whether its transaction counts."""

    def __init__(self, port: int, every: int = 4) -> None:
        self._upstream, self.every = port, every
        self.armed = self.cut = self._commits = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        swallow = threading.Event()
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._upstream)) as server:
            answers = threading.Thread(target=self._answers, args=(server, client, swallow), daemon=True)
            answers.start()
            while data := client.recv(CHUNK):
                if b"COMMIT" in data and self._chosen():
                    swallow.set()
                server.sendall(data)
            _end(server)
            answers.join(5)

    def _chosen(self) -> bool:
        with self._lock:
            if self.armed <= 0:
                return False
            self._commits += 1
            if self._commits % self.every:
                return False
            self.armed, self.cut = self.armed - 1, self.cut + 1
            return True

    def _answers(self, server: socket.socket, client: socket.socket, swallow: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(CHUNK):
                if swallow.is_set():
                    break  # committed, and nobody hears of it
                client.sendall(data)
        _end(client)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def running(port: int) -> Iterator[CommitCutter]:
    cutter = CommitCutter(port)
    try:
        yield cutter
    finally:
        cutter.close()
