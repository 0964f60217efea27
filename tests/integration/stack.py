"""The full stack as processes: the API and Celery workers over real Postgres, Redis and S3, told apart by settings."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from store.database import Database
from tests.services.postgres import Postgres
from tests.services.processes import Server, free_ports
from tests.services.redis import Redis
from tests.services.s3 import ACCESS_KEY, S3, SECRET_KEY
from tests.slowness import within

ROOT = Path(__file__).resolve().parent.parent.parent


class Stack:
    """`api` and `workers` can be stopped, killed and started one by one. `database_url`: instead of an empty one."""

    def __init__(
        self, folder: Path, postgres: Postgres, redis: Redis, s3: S3, workers: int = 1, database_url: str = ""
    ) -> None:
        self.folder, self.postgres, self.redis, self.s3 = folder, postgres, redis, s3
        self.database_url = database_url or postgres.new_database()
        (self.port,) = free_ports(1)
        self.environment = self._environment()
        self.api = self._server("api", (sys.executable, "-m", "api"))
        self.workers = [self._server(f"worker{n}", (sys.executable, "-m", "worker")) for n in range(workers)]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RETORT_")}
        return kept | {
            "PYTHONPATH": str(ROOT),
            "RETORT_PORT": str(self.port),
            "RETORT_LOG_LEVEL": "WARNING",
            "RETORT_DATABASE_URL": self.database_url,
            "RETORT_REDIS_URL": self.redis.url,
            "RETORT_S3_ENDPOINT": self.s3.endpoint,
            "RETORT_S3_PUBLIC_ENDPOINT": self.s3.endpoint,
            "RETORT_S3_ACCESS_KEY": ACCESS_KEY,
            "RETORT_S3_SECRET_KEY": SECRET_KEY,
            "RETORT_S3_BUCKET": self.s3.new_bucket(),
            "RETORT_INSPECT_WAIT_SECONDS": "120",
            "RETORT_LEASE_SECONDS": f"{within(6):g}",
            "RETORT_RENEW_SECONDS": "1",
            "RETORT_SWEEP_SECONDS": "2",
        }

    def _server(self, name: str, command: tuple[str, ...]) -> Server:
        folder = self.folder / name
        folder.mkdir()
        return Server(command, folder, self.environment | {"RETORT_DATA_DIR": str(folder / "data")})

    def start(self) -> None:
        database = Database(self.database_url)
        database.migrate()
        database.close()
        self.start_api()
        for worker in self.workers:
            self.start_worker(worker)

    def start_api(self) -> None:
        self.api.start(self._ready)

    def start_worker(self, worker: Server) -> None:
        """Workers need nobody to be ready; being alive is enough."""
        worker.start(lambda: True)

    def stop(self) -> None:
        for worker in self.workers:
            worker.stop(signal.SIGTERM, 30)
        self.api.stop(signal.SIGTERM, 10)
        self.postgres.drop_database(self.database_url)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=within(150))

    def _ready(self) -> bool:
        try:
            with self.client() as client:
                return client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
