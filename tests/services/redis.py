"""A throw-away Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.services.processes import Server, find_program, free_ports, missing, port_answers


class Redis:
    """Keeps nothing on disk: a restart is also a loss of everything in it."""

    def __init__(self, folder: Path) -> None:
        program = find_program("redis-server")
        if program is None:
            missing("Redis", "install the package redis-server")
        assert program is not None
        (self.port,) = free_ports(1)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.server = Server([program, *options], folder)

    def start(self) -> None:
        self.server.start(lambda: port_answers(self.port))

    def stop(self) -> None:
        self.server.stop()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def listeners(self) -> int:
        """Workers that hear the doorbell: they subscribe to nothing else."""
        with self.client() as client:
            return sum(int(each["psub"]) for each in client.client_list())


@contextmanager
def running(folder: Path) -> Iterator[Redis]:
    server = Redis(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
