"""Slots of one and of two workers on SQLite and Postgres: every job ends, once."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from store.clock import db_now
from store.database import Database
from store.doorbell import InProcessDoorbell
from store.objects import FolderStore
from store.repositories import jobs, system
from store.tables import Job, Worker
from tests.slowness import within
from tests.store.support import claimed, event_list, new_dataset, new_job, read_job, statuses
from tests.worker.support import program, settings_for, wait_until
from worker.slots.pool import SlotPool
from worker.watching.survivors import survivors

#: No catalogue in these tests: it costs an import of torch each.
NO_INSPECTOR = (sys.executable, "-c", "")


@contextmanager
def pool(database: Database, folder: Path, name: str = "success", **values: Any) -> Iterator[SlotPool]:
    settings = settings_for(folder, **values)
    made = SlotPool(
        settings, database, FolderStore(folder / "objects"), InProcessDoorbell(), program(name), NO_INSPECTOR
    )
    made.start()
    try:
        yield made
    finally:
        made.shutdown()


def all_ended(database: Database, ids: list[str]) -> bool:
    return all(read_job(database, job_id).status in {"succeeded", "failed"} for job_id in ids)


def test_a_ring_starts_a_job_at_once(database: Database, tmp_path: Path) -> None:
    with pool(database, tmp_path, sweep_seconds=600, renew_seconds=100, lease_seconds=600) as made:
        time.sleep(0.5)
        job_id = new_job(database)
        made.wake()
        wait_until(lambda: all_ended(database, [job_id]))
    assert read_job(database, job_id).status == "succeeded"
    assert read_job(database, job_id).worker_id == made.worker_id


def test_without_a_ring_the_sweep_finds_it(database: Database, tmp_path: Path) -> None:
    with pool(database, tmp_path):
        job_id = new_job(database)
        wait_until(lambda: all_ended(database, [job_id]))


def test_two_workers_run_every_job_once(database: Database, tmp_path: Path) -> None:
    dataset_id = new_dataset(database)
    with ExitStack() as stack:
        pools = [stack.enter_context(pool(database, tmp_path / str(n), slots=2)) for n in range(2)]
        ids = [new_job(database, dataset_id) for _ in range(8)]
        for _ in range(50):
            pools[0].wake()
        wait_until(lambda: all_ended(database, ids), 120)
    for job_id in ids:
        assert statuses(database, job_id) == ["queued", "running", "succeeded"]
        with database.read() as session:
            assert len(jobs.attempts(session, job_id)) == 1


def test_a_system_fault_is_tried_again_after_its_back_off(database: Database, tmp_path: Path) -> None:
    with pool(database, tmp_path, "crash_once", retry_back_off_seconds=0.5, sweep_seconds=600) as made:
        job_id = new_job(database)
        made.wake()
        wait_until(lambda: all_ended(database, [job_id]))
    assert read_job(database, job_id).status == "succeeded"
    with database.read() as session:
        first, second = jobs.attempts(session, job_id)
    assert first.finished_at is not None
    assert (second.started_at - first.finished_at).total_seconds() > 0.4


def test_a_lost_job_is_taken_over(database: Database, tmp_path: Path) -> None:
    job_id = new_job(database)
    claimed(database, job_id, lease_seconds=0.1, worker_id="wrk_gone")
    with pool(database, tmp_path):
        wait_until(lambda: all_ended(database, [job_id]))
    assert statuses(database, job_id) == ["queued", "running", "queued", "running", "succeeded"]


def test_a_worker_signs_on_and_off(database: Database, tmp_path: Path) -> None:
    with pool(database, tmp_path, slots=3) as made:
        wait_until(lambda: bool(live(database)))
        (row,) = live(database)
        assert (row.id, row.slots) == (made.worker_id, 3)
        with database.write() as session:
            system.remove_worker(session, made.worker_id)
        wait_until(lambda: bool(live(database)))
    assert live(database) == []


def live(database: Database) -> list[Worker]:
    with database.read() as session:
        return system.live_workers(session, 60)


def test_shutdown_hands_over_and_the_next_worker_goes_on(database: Database, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "hold").touch()
    job_id = new_job(database)
    with pool(database, tmp_path, "steps"):
        wait_until(lambda: any(k == "checkpoint" and d["step"] == 3 for _, k, d in event_list(database, job_id)))
    assert read_job(database, job_id).status == "queued"
    assert leftover(tmp_path) == []
    (tmp_path / "scratch" / "hold").unlink()
    with pool(database, tmp_path, "steps"):
        wait_until(lambda: all_ended(database, [job_id]))
    with database.read() as session:
        row = jobs.artifact(session, job_id, "student.safetensors")
    assert row is not None
    assert json.loads(b"".join(FolderStore(tmp_path / "objects").read(row.object_key)))["from"] == 3
    assert [data["step"] for _, kind, data in event_list(database, job_id) if kind == "metrics"] == list(range(1, 11))


def leftover(folder: Path) -> list[Path]:
    return [path for path in (folder / "scratch").glob("*/*") if path.is_dir()]


def test_cancel_is_heard_through_the_doorbell(database: Database, tmp_path: Path) -> None:
    with pool(database, tmp_path, "waits", renew_seconds=100, lease_seconds=600, sweep_seconds=600) as made:
        job_id = new_job(database)
        made.wake()
        wait_until(lambda: read_job(database, job_id).phase == "scoring")
        with database.write() as session:
            jobs.request_cancel(session, session.get_one(Job, job_id))
        made.wake()
        wait_until(lambda: read_job(database, job_id).status == "cancelled")
        assert survivors(str(tmp_path / "scratch" / job_id / "1")) == []


def test_scratch_of_a_dead_worker_is_swept_with_its_processes(database: Database, tmp_path: Path) -> None:
    import os
    import subprocess

    left = tmp_path / "scratch" / "job_old" / "1"
    left.mkdir(parents=True)
    (left / "owner.json").write_text(json.dumps({"pid": 2**22 - 1, "started": 0}))
    orphan = subprocess.Popen(["sleep", "600"], env=os.environ | {"RETORT_RUN": str(left)}, start_new_session=True)
    with pool(database, tmp_path):
        assert orphan.wait(within(20)) == -9
        wait_until(lambda: not left.exists())


@pytest.mark.services
def test_a_database_that_restarts_under_a_run_loses_nothing(postgres: Any, postgres_url: str, tmp_path: Path) -> None:
    from store.repositories import tenants

    database = Database(postgres_url)
    database.migrate()
    with database.write() as session:
        tenants.ensure_default(session)
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "hold").touch()
    with pool(database, tmp_path, "steps", lease_seconds=60):
        job_id = new_job(database)
        wait_until(lambda: any(d.get("step") == 3 for _, _, d in event_list(database, job_id)))
        postgres.stop()
        (tmp_path / "scratch" / "hold").unlink()  # the trainer goes on, and says things, while nobody can write them
        time.sleep(2)
        postgres.start()
        wait_until(lambda: all_ended(database, [job_id]), 60)
    assert statuses(database, job_id) == ["queued", "running", "succeeded"]
    assert [data["step"] for _, kind, data in event_list(database, job_id) if kind == "metrics"] == list(range(1, 11))
    database.close()


def test_a_worker_tidies_from_time_to_time(database: Database, tmp_path: Path) -> None:
    job_id = new_job(database)
    with database.write() as session:
        jobs.request_cancel(session, session.get_one(Job, job_id))
        session.execute(update(Job).values(finished_at=db_now(-2 * 86400)))

    def gone() -> bool:
        with database.read() as session:
            return session.get(Job, job_id) is None

    with pool(database, tmp_path, keep_jobs_days=1, tidy_seconds=0.2):
        wait_until(gone)
