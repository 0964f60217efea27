"""A small world for the supervisor: settings with short times, a database, a store, and a job."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from store.database import Database
from store.objects import ObjectStore
from store.repositories import jobs
from store.repositories.leases import Lease
from store.settings import Settings
from store.states import Status
from store.tables import Attempt, Job
from tests.slowness import within
from tests.store.support import claimed, new_job, read_job
from tests.waiting import until as wait_until
from worker.jobs.supervisor import Supervisor

__all__ = ["World", "program", "settings_for", "wait_until"]


def settings_for(folder: Path, **values: Any) -> Settings:
    short = {"lease_seconds": 60, "renew_seconds": 0.2, "sweep_seconds": 0.2, "cancel_grace_seconds": 2}
    return Settings(data_dir=folder, **{**short, "retry_back_off_seconds": 0, **values})


def program(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.worker.programs", name)


class World:
    """One job and what supervises it."""

    def __init__(self, folder: Path, database: Database, objects: ObjectStore, **values: Any) -> None:
        self.settings = settings_for(folder, **values)
        self.database, self.objects, self.leaving = database, objects, threading.Event()
        self.job_id = ""

    def queue(self, **values: Any) -> str:
        self.job_id = new_job(self.database, **values)
        return self.job_id

    def supervisor(self, name: str) -> Supervisor:
        return Supervisor(self.settings, self.database, self.objects, self.leaving, program(name))

    def run(self, name: str, **values: Any) -> Status | None:
        """One attempt of the job (made if there is none) by the program `name`."""
        if not self.job_id:
            self.queue(**values)
        return self.supervisor(name).supervise(self.claim())

    def claim(self) -> Lease:
        return claimed(self.database, self.job_id, self.settings.lease_seconds)

    @contextmanager
    def running(self, name: str, until: str) -> Iterator[list[Status | None]]:
        """An attempt in a thread, from when its log has the line `until`; the list has its result after the block."""
        supervisor, lease, ended = self.supervisor(name), self.claim(), list[Status | None]()
        thread = threading.Thread(target=lambda: ended.append(supervisor.supervise(lease)))
        thread.start()
        try:
            wait_until(lambda: any(until in line for line in self.logs()))
            yield ended
        except BaseException:
            self.leaving.set()
            raise
        finally:
            thread.join(within(30))
            assert not thread.is_alive()

    def ask(self, status: Status) -> None:
        with self.database.write() as session:
            jobs.move(session, session.get_one(Job, self.job_id), status)

    @property
    def job(self) -> Job:
        return read_job(self.database, self.job_id)

    @property
    def attempts(self) -> list[Attempt]:
        with self.database.read() as session:
            return jobs.attempts(session, self.job_id)

    def logs(self) -> list[str]:
        with self.database.read() as session:
            return [line.message for line in jobs.log_tail(session, self.job_id, 1000)]

    def artifact(self, name: str = "student.safetensors") -> str:
        return self.artifact_bytes(name).decode()

    def artifact_bytes(self, name: str) -> bytes:
        with self.database.read() as session:
            row = jobs.artifact(session, self.job_id, name)
        assert row is not None
        return b"".join(self.objects.read(row.object_key))

    def trainer_pid(self) -> int:
        """The number of the trainer that runs now, by its mark."""
        from worker.watching.survivors import survivors

        lease = self.job
        found = survivors(str(self.settings.scratch / self.job_id / str(lease.attempt)))
        return min(found)

    def nothing_left(self) -> bool:
        """No process and no scratch folder of the job."""
        from worker.watching.survivors import survivors

        roots = [str(self.settings.scratch / self.job_id / str(attempt.number)) for attempt in self.attempts]
        return not any(survivors(root) for root in roots) and not (self.settings.scratch / self.job_id).exists()
