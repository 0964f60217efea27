"""The Celery worker as a process: Redis is only a doorbell, there or not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from store.database import Database
from store.doorbell import CeleryDoorbell
from store.repositories import system
from tests.services.processes import Server, free_ports
from tests.services.redis import Redis
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
    server = Server((sys.executable, "-m", "worker"), folder, environment(database, redis_url, folder, sweep))
    server.start(lambda: alive(database))
    try:
        yield server
    finally:
        server.stop(signal.SIGTERM, 30)
    assert not alive(database)  # it has signed off: its end was orderly


def alive(database: Database) -> bool:
    with database.read() as session:
        return bool(system.live_workers(session, 3600))


def doomed_job(database: Database) -> str:
    """A job that a slot ends without a trainer, because its dataset is not usable: all that these tests need."""
    return new_job(database, new_dataset(database, status="invalid"))


def ended(database: Database, job_id: str) -> bool:
    return read_job(database, job_id).status == "failed"


def test_a_ring_through_redis_wakes_a_slot(full_database: Database, redis: Redis, tmp_path: Path) -> None:
    redis.client().flushall()
    with worker(full_database, redis.url, tmp_path, sweep=600):
        wait_until(lambda: redis.client().client_list() != [] and consumers(redis) > 0)
        time.sleep(1)
        job_id = doomed_job(full_database)
        bell = CeleryDoorbell(redis.url)
        for _ in range(100):
            bell.ring("job", job_id)
        wait_until(lambda: ended(full_database, job_id), 10)
    assert statuses(full_database, job_id) == ["queued", "running", "failed"]


def consumers(redis: Redis) -> int:
    return sum(1 for client in redis.client().client_list() if client["cmd"] == "brpop")


def test_without_redis_the_slots_sweep(full_database: Database, tmp_path: Path) -> None:
    with worker(full_database, f"redis://127.0.0.1:{free_ports(1)[0]}/0", tmp_path, sweep=1):
        job_id = doomed_job(full_database)
        wait_until(lambda: ended(full_database, job_id))


def test_redis_that_goes_and_comes_back(full_database: Database, redis: Redis, tmp_path: Path) -> None:
    with worker(full_database, redis.url, tmp_path, sweep=1):
        wait_until(lambda: consumers(redis) > 0)
        redis.stop()
        first = doomed_job(full_database)
        CeleryDoorbell(redis.url).ring("job", first)
        wait_until(lambda: ended(full_database, first))
        redis.start()
        wait_until(lambda: consumers(redis) > 0, 60)


def test_a_pool_of_processes_is_refused(full_database: Database, tmp_path: Path) -> None:
    command = (sys.executable, "-m", "celery", "-A", "worker.app", "worker", "--pool", "prefork")
    url = f"redis://127.0.0.1:{free_ports(1)[0]}/0"
    run = subprocess.run(
        command, env=environment(full_database, url, tmp_path, 1), capture_output=True, text=True, timeout=60
    )
    assert run.returncode != 0
    assert "--pool threads" in run.stdout + run.stderr


def test_embedded_settings_are_refused(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RETORT_")}
    run = subprocess.run((sys.executable, "-m", "worker"), env=kept, capture_output=True, text=True, cwd=Path.cwd())
    assert run.returncode == 1
    assert "retort serve" in run.stderr
