"""What goes and what stays, on both databases and both stores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from store import tidying
from store.clock import db_now
from store.database import Database
from store.objects import FolderStore, ObjectStore
from store.repositories import idempotency, jobs, leases, recording
from store.repositories.leases import Ending
from store.repositories.tenants import DEFAULT_TENANT
from store.settings import Settings
from store.states import Status
from store.tables import (
    Artifact,
    Attempt,
    CachedCurve,
    Checkpoint,
    Dataset,
    IdempotencyKey,
    Job,
    JobEvent,
    LogLine,
    Metric,
    Orphan,
    Teacher,
    Upload,
)
from store.tidying import orphans, retention
from tests.services.tables import opened
from tests.store.support import claimed, event_list, migrated, new_dataset, new_job

DAY = 86400.0


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """Where the database makes no difference, the one that starts fastest."""
    with migrated(sqlite_url) as made:
        yield made


@pytest.fixture
def any_database(each_url: str) -> Iterator[Database]:
    with migrated(each_url) as made:
        yield made


@pytest.fixture
def objects(folder_store: FolderStore) -> ObjectStore:
    return folder_store


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.services)])
def any_objects(request: pytest.FixtureRequest) -> ObjectStore:
    store: ObjectStore = request.getfixturevalue(f"{request.param}_store")
    return store


def put(objects: ObjectStore, folder: Path, key: str) -> dict[str, Any]:
    path = folder / "content"
    path.write_bytes(key.encode())
    info = objects.put(key, path)
    return {"object_key": key, "size_bytes": info.size_bytes, "sha256": info.sha256}


def finished(
    database: Database, objects: ObjectStore, folder: Path, status: Status = "succeeded", **values: Any
) -> str:
    """An ended job with a file, a checkpoint, a metric and a log line."""
    job_id = new_job(database, **values)
    lease = claimed(database, job_id)
    made = put(objects, folder, f"jobs/{job_id}/artifacts/1/student")
    state = put(objects, folder, f"jobs/{job_id}/checkpoints/1")
    with database.write() as session:
        recording.add_artifact(session, lease, Artifact(job_id=job_id, name="student", media_type="x/y", **made))
        recording.add_checkpoint(session, lease, Checkpoint(job_id=job_id, step=1, epoch=1.0, attempt=1, **state))
        session.add(Metric(job_id=job_id, split="train", step=1, epoch=1.0, values={}))
        session.add(LogLine(job_id=job_id, attempt=1, level="info", message="x"))
        leases.settle(session, lease, Ending(status, status))
    return job_id


def age(database: Database, job_id: str, days: float) -> None:
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(finished_at=db_now(-days * DAY)))


def settings_of(folder: Path, **values: Any) -> Settings:
    return Settings(data_dir=folder, **values)


def rows(database: Database, table: Any, job_id: str) -> int:
    with database.read() as session:
        return len(list(session.scalars(select(table).where(table.job_id == job_id))))


def keys(objects: ObjectStore) -> set[str]:
    return set(objects.keys(""))


def test_nothing_goes_by_default(database: Database, objects: ObjectStore, tmp_path: Path) -> None:
    job_id = finished(database, objects, tmp_path)
    age(database, job_id, 10_000)
    tidying.tidy(settings_of(tmp_path), database, objects)
    assert rows(database, Artifact, job_id) == 1
    assert len(keys(objects)) == 2


def test_old_jobs_go_with_all_they_made(any_database: Database, any_objects: ObjectStore, tmp_path: Path) -> None:
    old, young = (finished(any_database, any_objects, tmp_path) for _ in range(2))
    age(any_database, old, 31)
    age(any_database, young, 29)
    assert tidying.tidy(settings_of(tmp_path, keep_jobs_days=30), any_database, any_objects)["jobs"] == 1
    with any_database.read() as session:
        assert list(session.scalars(select(Job.id))) == [young]
        assert {row.job_id for row in session.scalars(select(Attempt))} == {young}
    assert {key.split("/")[1] for key in keys(any_objects)} == {young}


def test_one_round_takes_all_that_is_old(
    any_database: Database, objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    old = [finished(any_database, objects, tmp_path) for _ in range(5)]
    named = old[1]
    by = new_job(any_database, compare_with=named)
    for job_id in old:
        age(any_database, job_id, 31)
    settings = settings_of(tmp_path, keep_jobs_days=30, keep_files_days=1, keep_history_days=1)
    assert tidying.tidy(settings, any_database, objects)["jobs"] == 4
    with any_database.read() as session:
        assert set(session.scalars(select(Job.id))) == {named, by}


@pytest.mark.parametrize(
    ("kept", "what"), [("keep_files_days", "files_of_jobs"), ("keep_history_days", "histories_of_jobs")]
)
def test_so_do_files_and_histories(
    database: Database, objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str, what: str
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(4):  # an exact number of batches
        age(database, finished(database, objects, tmp_path), 31)
    assert tidying.tidy(settings_of(tmp_path, **{kept: 1}), database, objects)[what] == 4


def test_a_worker_that_leaves_ends_the_round(database: Database, objects: ObjectStore, tmp_path: Path) -> None:
    for _ in range(4):
        age(database, finished(database, objects, tmp_path), 31)
    asked = iter([False, False, True])
    settings = settings_of(tmp_path, keep_jobs_days=30)
    assert tidying.tidy(settings, database, objects, lambda: next(asked))["jobs"] == 2
    assert tidying.tidy(settings, database, objects)["jobs"] == 2


def test_files_may_go_before_the_job(any_database: Database, objects: ObjectStore, tmp_path: Path) -> None:
    job_id = finished(any_database, objects, tmp_path)
    age(any_database, job_id, 8)
    settings = settings_of(tmp_path, keep_files_days=7)
    assert tidying.tidy(settings, any_database, objects)["files_of_jobs"] == 1
    assert keys(objects) == set()
    assert rows(any_database, Artifact, job_id) + rows(any_database, Checkpoint, job_id) == 0
    assert rows(any_database, Metric, job_id) == 1
    assert tidying.tidy(settings, any_database, objects)["files_of_jobs"] == 0


def test_history_goes_but_for_the_event_that_ended_the_job(
    any_database: Database, objects: ObjectStore, tmp_path: Path
) -> None:
    job_id = finished(any_database, objects, tmp_path)
    last = event_list(any_database, job_id)[-1]
    age(any_database, job_id, 8)
    settings = settings_of(tmp_path, keep_history_days=7)
    assert tidying.tidy(settings, any_database, objects)["histories_of_jobs"] == 1
    assert event_list(any_database, job_id) == [last]
    assert rows(any_database, Metric, job_id) + rows(any_database, LogLine, job_id) == 0
    assert rows(any_database, Artifact, job_id) == 1
    assert tidying.tidy(settings, any_database, objects)["histories_of_jobs"] == 0


def test_what_another_job_names_stays(any_database: Database, objects: ObjectStore, tmp_path: Path) -> None:
    named = finished(any_database, objects, tmp_path)
    by = new_job(any_database, compare_with=named)
    age(any_database, named, 100)
    everything = settings_of(tmp_path, keep_jobs_days=1, keep_files_days=1, keep_history_days=1)
    tidying.tidy(everything, any_database, objects)
    assert rows(any_database, Artifact, named) == 1
    assert rows(any_database, JobEvent, named) > 1
    with any_database.write() as session:
        jobs.delete(session, by)
    tidying.tidy(everything, any_database, objects)
    assert keys(objects) == set()


@pytest.mark.parametrize("status", ["queued", "running", "paused"])
def test_what_has_not_ended_stays(database: Database, objects: ObjectStore, tmp_path: Path, status: str) -> None:
    job_id = new_job(database)
    age(database, job_id, 100)
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(status=status))
    tidying.tidy(settings_of(tmp_path, keep_jobs_days=1, keep_history_days=1), database, objects)
    assert rows(database, JobEvent, job_id) == 1


def test_a_curve_goes_a_day_after_the_last_job_that_has_it(
    any_database: Database, objects: ObjectStore, tmp_path: Path
) -> None:
    with any_database.write() as session:
        for digest in ("named", "lost", "new"):
            recording.cache_curve(session, DEFAULT_TENANT, {"digest": digest})
        stale = update(CachedCurve).where(CachedCurve.digest != "new").values(created_at=db_now(-2 * DAY))
        session.execute(stale)
    new_job(any_database)  # one without a curve
    job_id = new_job(any_database, curve={"digest": "named", "seed": 1}, status="succeeded")

    def left() -> set[str]:
        with any_database.read() as session:
            return set(session.scalars(select(CachedCurve.digest)))

    assert tidying.tidy(settings_of(tmp_path), any_database, objects)["curves"] == 1
    assert left() == {"named", "new"}
    with any_database.write() as session:
        jobs.delete(session, job_id)
    tidying.tidy(settings_of(tmp_path), any_database, objects)
    assert left() == {"new"}


def test_old_idempotency_keys_go(database: Database, objects: ObjectStore, tmp_path: Path) -> None:
    with database.write() as session:
        for key in ("old", "new"):
            idempotency.reserve(session, DEFAULT_TENANT, key, "h")
        stale = update(IdempotencyKey).where(IdempotencyKey.key == "old").values(created_at=db_now(-2 * DAY))
        session.execute(stale)
    assert tidying.tidy(settings_of(tmp_path), database, objects)["idempotency_keys"] == 1
    with database.read() as session:
        assert list(session.scalars(select(IdempotencyKey.key))) == ["new"]


def test_orphans_go_after_the_grace_and_nothing_else(
    any_database: Database, any_objects: ObjectStore, tmp_path: Path
) -> None:
    done = finished(any_database, any_objects, tmp_path)
    dataset_id, active = new_dataset(any_database), new_job(any_database)
    strays = {"jobs/job_gone/x", f"jobs/{done}/artifacts/1/half", "teachers/tch_gone/w", "uploads/upl_gone/content"}
    kept = {f"jobs/{active}/artifacts/1/coming", "somebody/elses", f"datasets/{dataset_id}/all.zip", "teachers/tch_1/w"}
    kept |= {f"datasets/{dataset_id}/thumbnails.webp", f"datasets/{dataset_id}/test.fetched"}
    kept |= {"teachers/tch_1/source/0", f"datasets/{dataset_id}/thumbnails.webp"}
    files = {key: put(any_objects, tmp_path, key) for key in strays | kept | {"uploads/upl_1/content"}}
    with any_database.write() as session:
        session.get_one(Dataset, dataset_id).files = {
            "train": files[f"datasets/{dataset_id}/all.zip"],
            "test": {"url": "https://example.org/a.zip", "filename": "a.zip"},  # a worker has just stored it
        }
        teacher = Teacher(id="tch_1", tenant_id=DEFAULT_TENANT, name="t", architecture={}, **files["teachers/tch_1/w"])
        upload = Upload(
            id="upl_1", tenant_id=DEFAULT_TENANT, purpose="teacher", filename="f", size_bytes=1, part_bytes=1,
            direct=False, object_key="uploads/upl_1/content", handle="h", expires_at=db_now(60),
        )  # fmt: skip
        session.add_all([teacher, upload])
    assert set(orphans.find(any_database, any_objects)) == strays
    assert orphans.sweep(any_database, any_objects, 60) == 0
    assert strays <= keys(any_objects)
    with any_database.write() as session:
        session.execute(update(Orphan).values(seen_at=db_now(-61)))
    assert orphans.sweep(any_database, any_objects, 60) == len(strays)
    assert strays.isdisjoint(keys(any_objects))
    assert kept | {"uploads/upl_1/content", f"jobs/{done}/artifacts/1/student"} <= keys(any_objects)
    with any_database.read() as session:
        assert list(session.scalars(select(Orphan))) == []


def test_an_object_in_the_place_of_a_folder_stops_nothing(
    database: Database, any_objects: ObjectStore, tmp_path: Path
) -> None:
    job_id = new_job(database, status="succeeded")
    for key in (f"jobs/{job_id}", "jobs/job_gone", "teachers/tch_gone"):
        put(any_objects, tmp_path, key)
    assert set(orphans.find(database, any_objects)) == {"jobs/job_gone", "teachers/tch_gone"}


def test_an_object_that_gets_its_row_is_no_orphan_any_more(
    database: Database, objects: ObjectStore, tmp_path: Path
) -> None:
    file = put(objects, tmp_path, "teachers/tch_1/w")
    assert orphans.sweep(database, objects, 60) == 0
    with database.write() as session:
        session.add(Teacher(id="tch_1", tenant_id=DEFAULT_TENANT, name="t", architecture={}, **file))
        session.execute(update(Orphan).values(seen_at=db_now(-61)))
    assert orphans.sweep(database, objects, 60) == 0
    assert keys(objects) == {"teachers/tch_1/w"}


def test_a_store_that_is_mostly_unknown_is_left_alone(
    sqlite_url: str, folder_store: ObjectStore, tmp_path: Path
) -> None:
    """As when the database is another deployment's."""
    database = opened(sqlite_url)
    for number in range(orphans.FEW + 1):
        put(folder_store, tmp_path, f"teachers/tch_{number}/w")
    with pytest.raises(orphans.TooMany):
        orphans.find(database, folder_store)
    assert orphans.sweep(database, folder_store, 0) == 0
    assert len(keys(folder_store)) == orphans.FEW + 1
    database.close()


def test_half_written_files_go_when_they_are_old(database: Database, folder_store: FolderStore, tmp_path: Path) -> None:
    old, young = folder_store.root / ".incoming" / "old", folder_store.root / ".incoming" / "young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert tidying.tidy(settings_of(tmp_path), database, folder_store)["half_written_files"] == 1
    assert (old.exists(), young.exists()) == (False, True)
