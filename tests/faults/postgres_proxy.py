"""Between a worker and Postgres: a relay whose COMMITs are lost, or carried out without an answer."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

CHUNK = 1 << 16
ANSWER_SECONDS = 60


class CommitCutter:
    """While `armed` > 0, every `every`-th COMMIT is carried out by the server but never answered: the connection
    breaks. The client cannot know whether its transaction counts.

    `strike`: what happens to the server then. With one, half of the COMMITs that are cut, drawn by chance, never reach
    the server.
    `of`: cut only transactions in which this text was sent. (A server that crashes in every renewal of a lease, too, is
    never up for long enough.)
    """

    def __init__(
        self, port: int, every: int = 4, strike: Callable[[], None] | None = None, of: bytes = b"COMMIT"
    ) -> None:
        self._upstream, self.every, self._strike, self._of = port, every, strike, of
        self.armed = self.cut = self._commits = 0
        self._lock, self._chance = threading.Lock(), random.Random(7)
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
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._upstream)) as server:
            answers = _Answers(server, client)
            answers.start()
            concerned = False
            while data := client.recv(CHUNK):
                concerned |= self._of in data
                if b"COMMIT" in data:
                    if concerned and self._cuts(answers, data):
                        break
                    concerned = False
                server.sendall(data)
            _end(server)
            answers.join(5)

    def _cuts(self, answers: _Answers, data: bytes) -> bool:
        """Whether this COMMIT is one of those that are cut. One at a time, until the strike is over."""
        with self._lock:
            if self.armed <= 0:
                return False
            self._commits += 1
            if self._commits % self.every:
                return False
            self.armed, self.cut = self.armed - 1, self.cut + 1
            if self._strike is None or self._chance.random() < 0.5:
                answers.swallow(data)
            if self._strike is not None:
                self._strike()
            return True


class _Answers(threading.Thread):
    """What the server says, handed to the client."""

    def __init__(self, server: socket.socket, client: socket.socket) -> None:
        super().__init__(daemon=True)
        self._server, self._client, self._swallow = server, client, threading.Event()

    def swallow(self, data: bytes) -> None:
        """Send `data` to the server and wait until it has answered, which the client never hears."""
        self._swallow.set()
        self._server.sendall(data)
        self.join(ANSWER_SECONDS)

    def run(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(CHUNK):
                if self._swallow.is_set():
                    break
                self._client.sendall(data)
        _end(self._client)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def running(
    port: int, every: int = 4, strike: Callable[[], None] | None = None, of: bytes = b"COMMIT"
) -> Iterator[CommitCutter]:
    cutter = CommitCutter(port, every, strike, of)
    try:
        yield cutter
    finally:
        cutter.close()
