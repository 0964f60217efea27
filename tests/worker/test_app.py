"""The Celery worker as a process: Redis is only a doorbell, there or not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from store.database import Database
from store.doorbell import CeleryDoorbell
from store.repositories import system
from tests.services.processes import Server, free_ports
from tests.services.redis import Redis
from tests.slowness import within
from tests.store.support import migrated, new_dataset, new_job, read_job, statuses
from tests.worker.support import wait_until

pytestmark = pytest.mark.services


@pytest.fixture
def full_database(postgres_url: str) -> Iterator[Database]:
    with migrated(postgres_url) as database:
        yield database


def environment(database: Database, redis_url: str, folder: Path, sweep: float) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RETORT_")}
    return kept | {
        "RETORT_DATABASE_URL": database.url,
        "RETORT_REDIS_URL": redis_url,
        "RETORT_DATA_DIR": str(folder / "data"),
        "RETORT_SWEEP_SECONDS": str(sweep),
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }


@contextmanager
def worker(database: Database, redis_url: str, folder: Path, sweep: float) -> Iterator[Server]:
    others = alive(database)
    folder.mkdir(exist_ok=True)
    server = Server((sys.executable, "-m", "worker"), folder, environment(database, redis_url, folder, sweep))
    server.start(lambda: alive(database) == others + 1)
    try:
        yield server
    finally:
        server.stop(signal.SIGTERM, 30)
    assert alive(database) == others  # it has signed off: its end was orderly


def alive(database: Database) -> int:
    with database.read() as session:
        return len(system.live_workers(session, 3600))


def doomed_job(database: Database) -> str:
    """A job that a slot ends without a trainer, because its dataset is not usable: all that these tests need."""
    return new_job(database, new_dataset(database, status="invalid"))


def ended(database: Database, job_id: str) -> bool:
    return read_job(database, job_id).status == "failed"


def test_a_ring_through_redis_wakes_the_slots_of_every_worker(
    full_database: Database, redis: Redis, tmp_path: Path
) -> None:
    """Each of them may be the only one with a free slot, or the one that runs the job which is to be cancelled."""
    bell = CeleryDoorbell(redis.url)
    with (
        worker(full_database, redis.url, tmp_path / "1", sweep=600) as first,
        worker(full_database, redis.url, tmp_path / "2", sweep=600) as second,
    ):
        wait_until(lambda: redis.listeners() == 2)
        for deaf in (first, second):
            redis.client().flushall()  # what Redis knows of its listeners beside their connections is not needed
            with stopped(deaf):
                job_id = doomed_job(full_database)
                for _ in range(100):
                    bell.ring("job", job_id)
                wait_until(lambda job_id=job_id: ended(full_database, job_id), 10)  # type: ignore[misc]
            assert statuses(full_database, job_id) == ["queued", "running", "failed"]


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_a_worker_that_hears_again_looks_for_what_it_has_not_heard(
    full_database: Database, redis: Redis, tmp_path: Path
) -> None:
    with worker(full_database, redis.url, tmp_path, sweep=600):
        wait_until(lambda: redis.listeners() == 1)
        redis.stop()
        job_id = doomed_job(full_database)
        CeleryDoorbell(redis.url).ring("job", job_id)
        redis.start()
        wait_until(lambda: ended(full_database, job_id), 60)


def test_without_redis_the_slots_sweep(full_database: Database, tmp_path: Path) -> None:
    with worker(full_database, f"redis://127.0.0.1:{free_ports(1)[0]}/0", tmp_path, sweep=1):
        job_id = doomed_job(full_database)
        wait_until(lambda: ended(full_database, job_id))


def test_redis_that_goes_and_comes_back(full_database: Database, redis: Redis, tmp_path: Path) -> None:
    with worker(full_database, redis.url, tmp_path, sweep=1):
        wait_until(lambda: redis.listeners() == 1)
        redis.stop()
        first = doomed_job(full_database)
        CeleryDoorbell(redis.url).ring("job", first)
        wait_until(lambda: ended(full_database, first))
        redis.start()
        wait_until(lambda: redis.listeners() == 1, 60)


def test_a_pool_of_processes_is_refused(full_database: Database, tmp_path: Path) -> None:
    command = (sys.executable, "-m", "celery", "-A", "worker.app", "worker", "--pool", "prefork")
    url = f"redis://127.0.0.1:{free_ports(1)[0]}/0"
    run = subprocess.run(
        command, env=environment(full_database, url, tmp_path, 1), capture_output=True, text=True, timeout=within(60)
    )
    assert run.returncode != 0
    assert "--pool threads" in run.stdout + run.stderr


def test_embedded_settings_are_refused(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RETORT_")}
    run = subprocess.run((sys.executable, "-m", "worker"), env=kept, capture_output=True, text=True, cwd=Path.cwd())
    assert run.returncode == 1
    assert "retort serve" in run.stderr
