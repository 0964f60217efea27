"""The full stack with a fault in it: API and workers as processes that tests kill, stop and starve."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from minio import Minio

from client.api import Retort
from store.database import Database
from tests.faults import processes
from tests.integration.stack import Stack
from tests.services.postgres import Postgres
from tests.services.processes import Server
from tests.services.redis import Redis
from tests.services.s3 import ACCESS_KEY, S3, SECRET_KEY
from tests.slowness import within
from tests.waiting import until

__all__ = ["DEFAULT", "SHORT", "Services", "Site", "pause", "until"]

#: A lost worker is noticed after lease + renew + a sweep: 6 s here (more on a slow machine), where the default settings
#: promise 90 s.
SHORT = {
    "RETORT_LEASE_SECONDS": f"{within(4):g}",
    "RETORT_RENEW_SECONDS": "0.5",
    "RETORT_SWEEP_SECONDS": "1",
    "RETORT_CANCEL_GRACE_SECONDS": "5",
    "RETORT_RETRY_BACK_OFF_SECONDS": "0.5",
    "OMP_NUM_THREADS": "1",
}
DEFAULT = dict.fromkeys(SHORT)  # as an operator has it who sets nothing


@dataclass(frozen=True)
class Services:
    """The three servers, and what every scenario begins with: a database in which a catalogue, a dataset and a teacher
    are ready, and the bucket that holds the teacher."""

    postgres: Postgres
    redis: Redis
    s3: S3
    template: str = ""
    bucket: str = ""
    body: dict[str, Any] | None = None


class Site(Stack):
    """One scenario's own API, workers and database."""

    def __init__(self, folder: Path, services: Services, **settings: str) -> None:
        self.services, self.settings = services, SHORT | settings
        url = services.postgres.new_database(services.template) if services.template else ""
        super().__init__(folder, services.postgres, services.redis, services.s3, workers=0, database_url=url)
        self._named: dict[str, Server] = {}

    def _environment(self) -> dict[str, str]:
        mine: dict[str, str | None] = dict(self.settings)
        if self.services.bucket:
            mine["RETORT_S3_BUCKET"] = self.services.bucket
        return {name: value for name, value in (super()._environment() | mine).items() if value is not None}

    # ---- processes

    def worker(self, name: str, program: str = "", before: Sequence[str] = (), **settings: str | None) -> Server:
        """Start the worker `name`, again if it was there. `program`: trains with `tests.faults.programs` instead;
        `before`: a command that starts it. Its scratch folder stays the same."""
        launch = ("-m", "tests.faults.launch", program) if program else ("-m", "worker")
        if name not in self._named:
            self._named[name] = self._server(name, (*before, sys.executable, *launch))
            self.workers.append(self._named[name])
        server = self._named[name]
        changed = (server.environment or {}) | settings
        server.environment = {key: value for key, value in changed.items() if value is not None}
        self.start_worker(server)
        return server

    def data(self, name: str) -> Path:
        return self.folder / name / "data"

    def log(self, name: str) -> str:
        return (self.folder / name / "log").read_text()

    def trainer(self, job_id: str, seconds: float = 60) -> processes.Trainer:
        """The job's trainer that runs now."""
        return until(lambda: processes.trainer_of(self.folder, job_id), seconds)

    def running(self, job_id: str) -> list[int]:
        """Processes of the job, whichever attempt's."""
        return [process.pid for process in processes.naming(job_id)]

    def close(self) -> None:
        """Stop everything; nothing that belongs to this site may run afterwards."""
        try:
            for worker in self.workers:
                worker.stop(signal.SIGTERM, 30)
            self.api.stop(signal.SIGTERM, 10)
        finally:
            left = processes.naming(str(self.folder))
            for process in left:
                process.kill()
            self.database.close()
            self.postgres.drop_database(self.database_url)
        assert left == [], "these processes outlived their site"

    # ---- what it serves

    @cached_property
    def http(self) -> httpx.Client:
        return self.client()

    @cached_property
    def retort(self) -> Retort:
        """Our own client, as users have it."""
        return Retort(f"http://127.0.0.1:{self.port}")

    @cached_property
    def database(self) -> Database:
        return Database(self.database_url)

    @cached_property
    def bucket(self) -> Minio:
        address = self.s3.endpoint.removeprefix("http://")
        return Minio(endpoint=address, access_key=ACCESS_KEY, secret_key=SECRET_KEY, secure=False, region="us-east-1")

    def keys(self, job_id: str) -> list[str]:
        """What the bucket holds of the job."""
        found = self.bucket.list_objects(
            bucket_name=self.environment["RETORT_S3_BUCKET"], prefix=f"jobs/{job_id}/", recursive=True
        )
        return sorted(item.object_name or "" for item in found)

    def emptied(self, job_id: str) -> bool:
        """The bucket soon holds nothing of the job: a cancelled job's objects go behind its commit."""
        return bool(until(lambda: not self.keys(job_id), 10, lambda: self.keys(job_id)))

    def submit(self, **body: Any) -> str:
        """A job as the reference run is, but for `body`."""
        answer = self.http.post("/jobs", json=(self.services.body or {}) | body)
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["id"]
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/jobs/{job_id}").raise_for_status().json()
        return found

    def items(self, job_id: str, noun: str) -> list[dict[str, Any]]:
        """A short list of the job's: attempts, checkpoints, artifacts."""
        found: list[dict[str, Any]] = self.http.get(f"/jobs/{job_id}/{noun}").raise_for_status().json()["items"]
        return found

    def wait(self, job_id: str, seconds: float = 120, **wanted: Any) -> dict[str, Any]:
        """The job once it has these values."""

        def as_wanted() -> dict[str, Any] | None:
            job = self.job(job_id)
            assert job["status"] != "failed" or "status" in wanted, job["error"]
            assert job["status"] != "failed" or wanted["status"] == "failed", job["error"]
            return job if all(job.get(name) == value for name, value in wanted.items()) else None

        return until(as_wanted, seconds, lambda: self.job(job_id))

    def checkpointed(self, job_id: str, attempt: int = 1, seconds: float = 120) -> int:
        """The step of the newest checkpoint in the store, once this attempt has stored one behind its first step."""

        def newest() -> int:
            rows = [row["step"] for row in self.items(job_id, "checkpoints") if row["attempt"] == attempt]
            return max(rows, default=0)

        return until(newest, seconds, lambda: self.job(job_id))


def pause(process: Server, stopped: bool) -> None:
    """SIGSTOP or SIGCONT to a process and its group, as a suspended machine does it."""
    os.killpg(process.pid, signal.SIGSTOP if stopped else signal.SIGCONT)
