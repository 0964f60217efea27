"""Between a client and any TCP server: a relay that, while it stalls, takes connections and bytes and gives nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK = 1 << 16


class Stalling:
    """`port` for the client. Every connection stays open, those from before the stall too: what a client sees is a
    server that is there and never answers, not one that refuses or breaks off."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._flowing = threading.Event()
        self._flowing.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """From now on nothing comes through, in neither direction."""
        self._flowing.clear()

    def flow(self) -> None:
        """What was held back comes through, and everything after it."""
        self._flowing.set()

    def close(self) -> None:
        self._listener.close()
        self._flowing.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        self._flowing.wait()
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._upstream)) as server:
            answers = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
            answers.start()
            self._pass_on(client, server)
            answers.join(5)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                self._flowing.wait()
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


@contextmanager
def stalling(upstream: int) -> Iterator[Stalling]:
    relay = Stalling(upstream)
    try:
        yield relay
    finally:
        relay.close()
