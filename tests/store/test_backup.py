"""A backup holds everything of one moment, restores into any kind of service, and is refused where it does not fit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from store.backup import BackupError, backup, check, restore
from store.backup.rows import read_rows
from store.clock import db_now
from store.database import Database
from store.file_lock import held
from store.ids import new_id
from store.objects import FolderStore, ObjectStore, S3Store, StorageUnavailable
from store.objects.base import describe
from store.repositories.tenants import DEFAULT_TENANT, new_key
from store.shard_references import KIND, LIST, parts
from store.tables import (
    Artifact,
    Checkpoint,
    Dataset,
    DatasetPart,
    Job,
    JobEvent,
    LogLine,
    Metric,
    Teacher,
    Upload,
    Worker,
)
from store.thumbnails import object_key
from tests.services.s3 import ACCESS_KEY, SECRET_KEY
from tests.slowness import within
from tests.store.support import claimed, new_dataset, new_job

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent.parent
Rows = list[tuple[str, dict[str, Any]]]


@dataclass
class Service:
    database: Database
    objects: ObjectStore
    tmp_path: Path

    def store(self, key: str, content: bytes) -> dict[str, Any]:
        path = self.tmp_path / "content"
        path.write_bytes(content)
        info = self.objects.put(key, path)
        return {"object_key": key, "size_bytes": info.size_bytes, "sha256": info.sha256}

    def add(self, *rows: Any) -> None:
        with self.database.write() as session:
            for row in rows:
                session.add(row)
                session.flush()

    def rows(self) -> Rows:
        with self.database.engine.connect() as connection:
            return list(read_rows(connection))


@pytest.fixture
def service(database: Database, objects: ObjectStore, tmp_path: Path) -> Service:
    return Service(database, objects, tmp_path)


@pytest.fixture(params=["embedded", pytest.param("full", marks=pytest.mark.services)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """A service of each kind that was never started: no tables, no objects."""
    if request.param == "embedded":
        made = Service(Database(f"sqlite:///{tmp_path}/new.db"), FolderStore(tmp_path / "new"), tmp_path)
    else:
        postgres, s3 = request.getfixturevalue("postgres"), request.getfixturevalue("s3")
        objects = S3Store(s3.endpoint, s3.endpoint, s3.new_bucket(), "us-east-1", ACCESS_KEY, SECRET_KEY)
        made = Service(Database(postgres.new_database()), objects, tmp_path)
    yield made
    made.database.close()


def fill(service: Service) -> str:
    """Something in nearly every table; a finished job, one that runs, uploads of each kind. The finished job's id."""
    with service.database.write() as session:
        new_key(session, DEFAULT_TENANT, "a key")
    files = {"file": service.store("datasets/dst_1/file.zip", b"pictures" * 1000) | {"filename": "ö.zip"}}
    dataset_id = new_dataset(service.database, name="Größe", kind="archive", files=files)
    done, running = new_job(service.database, dataset_id), new_job(service.database, dataset_id)
    claimed(service.database, running)
    service.add(
        Teacher(id=new_id("tch"), tenant_id=DEFAULT_TENANT, name="t", architecture={"name": "retort:tiny"},
                status="ready", report={"parameters": 12, "share": 0.1}, **service.store("teachers/t", b"weights")),
        Teacher(id=new_id("tch"), tenant_id=DEFAULT_TENANT, name="as it was sent", architecture={"name": "retort:tiny"},
                object_key="teachers/later", size_bytes=1, sha256="0" * 64, source=sent(service)),
        Teacher(id=new_id("tch"), tenant_id=DEFAULT_TENANT, name="refused", architecture={"name": "retort:tiny"},
                status="invalid", object_key="teachers/refused", size_bytes=1, sha256="0" * 64),
        sheeted(service), *divided(service),
        Artifact(job_id=done, name="student.safetensors", media_type="application/octet-stream",
                 **service.store(f"jobs/{done}/student.safetensors", os.urandom(100_000))),
        Checkpoint(job_id=running, step=7, epoch=0.5, attempt=1, **service.store(f"jobs/{running}/7", b"state")),
        Metric(job_id=done, split="train", step=1, epoch=0.1, values={"loss": 1e-9, "nothing": None}),
        LogLine(job_id=done, attempt=1, level="info", message="first"),
        JobEvent(job_id=done, seq=2, kind="log", data={"text": "\U0001f9ea"}, created_at=datetime.now(UTC)),
        Worker(id="wrk_1", hostname="h", pid=1, slots=1),
        upload("complete", service.store("uploads/upl_done/content", b"whole")),
        upload("open", {"object_key": "uploads/upl_open/content", "size_bytes": 9, "sha256": None}),
    )  # fmt: skip
    with service.database.write() as session:
        session.get_one(Job, done).compare_with = running  # the later one: order of rows must not matter
    return done


def sent(service: Service) -> dict[str, Any]:
    return {"files": [service.store("teachers/sent/0", b"pickled") | {"filename": "model.pt"}]}


def sheeted(service: Service) -> Dataset:
    """A dataset with thumbnails, one of whose files has still to be fetched."""
    row = Dataset(id=new_id("dst"), tenant_id=DEFAULT_TENANT, name="d", kind="reference", status="inspecting")
    row.files = {"train": {"url": "https://example.org/a.zip", "filename": "a.zip"}}
    stored = service.store(object_key(row.id), b"RIFFxxxxWEBP")
    row.report = {"thumbnails": {"columns": 8, "size_bytes": stored["size_bytes"], "sha256": stored["sha256"]}}
    return row


def divided(service: Service) -> tuple[Dataset, DatasetPart, DatasetPart]:
    """A dataset of shards of which one part is read and another one waits."""
    row = Dataset(id=new_id("dst"), tenant_id=DEFAULT_TENANT, name="s", kind=KIND, status="inspecting")
    row.shards = {"given": {"all": ["https://example.org/{0..1}.tar"]}, "classes": None}
    row.reading = {LIST: service.store(f"{parts(row.id)}{LIST}", b"names"), "parts": 2}
    read = DatasetPart(dataset_id=row.id, number=0, first=0, end=1, status="read", entries=[])
    read.file = service.store(f"{parts(row.id)}0-1", b"rows")
    return row, read, DatasetPart(dataset_id=row.id, number=1, first=1, end=2)


def upload(status: str, stored: dict[str, Any]) -> Upload:
    return Upload(
        id=new_id("upl"), tenant_id=DEFAULT_TENANT, purpose="teacher", filename="f", part_bytes=1 << 20, direct=False,
        handle="h", status=status, expires_at=db_now(1000), **stored,
    )  # fmt: skip


def test_everything_comes_back(service: Service, empty: Service, tmp_path: Path) -> None:
    done = fill(service)
    folder = tmp_path / "backup"
    made = backup(service.database, service.objects, folder)
    assert check(folder) == made
    restore(empty.database, empty.objects, folder)
    assert empty.rows() == service.rows()
    assert {table for table, _ in empty.rows()} == set(made.rows)
    statuses = [row["status"] for table, row in empty.rows() if table == "uploads"]
    assert statuses == ["complete"]
    named = {item.key for item in made.objects}
    assert {"teachers/t", "teachers/sent/0", "datasets/dst_1/file.zip", "uploads/upl_done/content"} <= named
    assert sum(key.endswith("thumbnails.webp") for key in named) == 1
    assert {key.split("/parts/")[1] for key in named if "/parts/" in key} == {LIST, "0-1"}
    assert not {"teachers/later", "teachers/refused", "uploads/upl_open/content"} & named
    key = f"jobs/{done}/student.safetensors"
    assert b"".join(empty.objects.read(key)) == b"".join(service.objects.read(key))
    assert set(empty.objects.keys("")) == {item.key for item in made.objects}
    empty.add(LogLine(job_id=done, attempt=1, level="info", message="numbers go on"))


def test_a_backup_of_older_tables_restores_into_todays(empty: Service, tmp_path: Path) -> None:
    old = Service(Database(f"sqlite:///{tmp_path}/old.db"), FolderStore(tmp_path / "objects"), tmp_path)
    old.database.migrate("0001")
    with old.database.engine.begin() as connection:
        connection.execute(text("INSERT INTO tenants (id, name, created_at) VALUES ('tnt_a', 'a', '2026-01-01')"))
    backup(old.database, old.objects, tmp_path / "backup")
    old.database.close()
    restore(empty.database, empty.objects, tmp_path / "backup")
    ((table, row),) = empty.rows()
    assert (table, row["id"], row["max_running_jobs"]) == ("tenants", "tnt_a", None)
    assert row["created_at"] == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def small(sqlite_url: str, tmp_path: Path) -> Iterator[Service]:
    """One kind is enough where stores and databases do not matter."""
    made = Service(Database(sqlite_url), FolderStore(tmp_path / "objects"), tmp_path)
    made.database.migrate()
    with made.database.write() as session:
        from store.repositories import tenants

        tenants.ensure_default(session)
    yield made
    made.database.close()


def test_the_next_backup_copies_what_is_new_and_drops_what_is_gone(small: Service, tmp_path: Path) -> None:
    done = fill(small)
    folder = tmp_path / "backup"
    first = backup(small.database, small.objects, folder)
    student = folder / "objects" / f"jobs/{done}/student.safetensors"
    before = student.stat().st_mtime_ns
    with small.database.write() as session:
        session.delete(session.query(Checkpoint).one())
    small.add(Artifact(job_id=done, name="new", media_type="text/plain", **small.store(f"jobs/{done}/new", b"new")))
    second = backup(small.database, small.objects, folder)
    assert student.stat().st_mtime_ns == before
    names = [{item.key for item in made.objects} for made in (first, second)]
    assert len(names[0] - names[1]) == len(names[1] - names[0]) == 1
    assert set(FolderStore(folder / "objects").keys("")) == names[1]
    assert len(list(folder.glob("tables-*"))) == 1
    check(folder)


class Busy(FolderStore):
    """A store whose service removes a checkpoint, row and object, while it is backed up."""

    def __init__(self, root: Path, remove: Callable[[], None]) -> None:
        super().__init__(root)
        self.remove = remove

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        self.remove()
        return super().read(key, start, end)


def test_what_is_removed_meanwhile_is_not_in_it(small: Service, tmp_path: Path) -> None:
    fill(small)

    def remove() -> None:
        with small.database.write() as session:
            for row in session.query(Checkpoint):
                small.objects.delete(row.object_key)
                session.delete(row)

    said = list[str]()
    made = backup(small.database, Busy(tmp_path / "objects", remove), tmp_path / "backup", said.append)
    assert "checkpoints" not in made.rows
    assert "1 objects were removed meanwhile" in said[0]
    check(tmp_path / "backup")


def test_a_run_that_fails_or_dies_leaves_no_rows_behind(small: Service, tmp_path: Path) -> None:
    fill(small)
    folder = tmp_path / "backup"
    whole = backup(small.database, small.objects, folder)

    def fail() -> None:
        raise StorageUnavailable("the store went away")

    small.add(Artifact(job_id=new_job(small.database), name="n", media_type="x/y", **small.store("jobs/n/n", b"new")))
    with pytest.raises(StorageUnavailable):
        backup(small.database, Busy(tmp_path / "objects", fail), folder)
    assert {path.name for path in folder.iterdir()} == {".lock", "manifest.json", "objects", whole.tables_file}
    for name in (".tables-0", ".copy-0"):  # as a kill leaves them
        (folder / name).write_bytes(b"keys and all")
    made = backup(small.database, small.objects, folder)
    assert {path.name for path in folder.iterdir()} == {".lock", "manifest.json", "objects", made.tables_file}
    check(folder)


def test_a_damaged_object_leaves_no_rows_behind(small: Service, tmp_path: Path) -> None:
    fill(small)
    (tmp_path / "content").write_bytes(b"other")
    small.objects.put("teachers/t", tmp_path / "content")
    with pytest.raises(BackupError, match="damaged"):
        backup(small.database, small.objects, tmp_path / "backup")
    assert list((tmp_path / "backup").glob(".[tc]*")) == []


def test_one_folder_takes_one_backup_at_a_time(small: Service, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    folder.mkdir()
    (folder / ".tables-0").write_bytes(b"the other's")
    with held(folder / ".lock"), pytest.raises(BackupError, match="Another backup"):
        backup(small.database, small.objects, folder)
    assert (folder / ".tables-0").exists()
    backup(small.database, small.objects, folder)


def test_objects_that_the_store_has_lost_are_named(small: Service, tmp_path: Path) -> None:
    fill(small)
    small.objects.delete("teachers/t")
    with pytest.raises(BackupError, match="teachers/t"):
        backup(small.database, small.objects, tmp_path / "backup")
    assert not (tmp_path / "backup" / "manifest.json").exists()
    (tmp_path / "content").write_bytes(b"other")
    small.objects.put("teachers/t", tmp_path / "content")
    with pytest.raises(BackupError, match=r"teachers/t is damaged"):
        backup(small.database, small.objects, tmp_path / "backup")


@pytest.mark.parametrize("what", ["object", "lost object", "tables", "manifest", "no manifest", "other format"])
def test_damage_is_found_before_anything_is_written(small: Service, tmp_path: Path, what: str) -> None:
    fill(small)
    folder = tmp_path / "backup"
    made = backup(small.database, small.objects, folder)
    target = Database(f"sqlite:///{tmp_path}/new.db")
    path = {"tables": folder / made.tables_file, "object": folder / "objects/teachers/t"}.get(what)
    if path is not None:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    elif what == "lost object":
        (folder / "objects/teachers/t").unlink()
    elif what == "no manifest":
        (folder / "manifest.json").unlink()
    else:
        old, new = {"manifest": ('"rows"', '"rose"'), "other format": ('"format": 1', '"format": 2')}[what]
        (folder / "manifest.json").write_text((folder / "manifest.json").read_text().replace(old, new))
    with pytest.raises(BackupError):
        restore(target, FolderStore(tmp_path / "new"), folder)
    assert list(FolderStore(tmp_path / "new").keys("")) == []
    target.close()
    assert not (tmp_path / "new.db").exists()


def test_a_service_with_data_is_left_as_it_is(small: Service, tmp_path: Path) -> None:
    fill(small)
    backup(small.database, small.objects, tmp_path / "backup")
    before = small.rows()
    with pytest.raises(BackupError, match="holds data already"):
        restore(small.database, small.objects, tmp_path / "backup")
    assert small.rows() == before


def command(name: str, *arguments: str, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RETORT_")}
    program = f"from store.backup.cli import {name}; {name}()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], input=content, capture_output=True,
        env=kept | {"PYTHONPATH": str(ROOT)}, timeout=within(120),
    )  # fmt: skip


def test_the_commands_by_folder_and_by_stream(small: Service, tmp_path: Path) -> None:
    fill(small)
    here, there = str(tmp_path), tmp_path / "there"
    assert command("backup", str(tmp_path / "backup"), "--data-dir", here).returncode == 0
    checked = command("restore", "--check", str(tmp_path / "backup"))
    assert b"whole: " in checked.stderr
    streamed = command("backup", "-", "--data-dir", here)
    assert streamed.returncode == 0, streamed.stderr
    restored = command("restore", "-", "--data-dir", str(there), content=streamed.stdout)
    assert restored.returncode == 0, restored.stderr
    assert {path.name for path in there.iterdir()} == {"retort.db", "retort.db.lock", "objects"}
    again = Service(Database(f"sqlite:///{there}/retort.db"), FolderStore(there / "objects"), tmp_path)
    assert again.rows() == small.rows()
    again.database.close()


@pytest.mark.parametrize("content", [b"", b"no tar at all", b"cut"])
def test_a_stream_that_is_no_backup_leaves_nothing(small: Service, tmp_path: Path, content: bytes) -> None:
    if content == b"cut":
        fill(small)
        content = command("backup", "-", "--data-dir", str(tmp_path)).stdout[:60_000]
    there = tmp_path / "there"
    refused = command("restore", "-", "--data-dir", str(there), content=content)
    assert refused.returncode == 1
    assert b"Traceback" not in refused.stderr
    assert list(there.iterdir()) == []


def test_no_database_is_no_backup(tmp_path: Path) -> None:
    refused = command("backup", str(tmp_path / "backup"), "--data-dir", str(tmp_path / "nothing"))
    assert refused.returncode == 1
    assert b"There is no database" in refused.stderr
    assert not (tmp_path / "nothing").exists()
    assert not (tmp_path / "backup").exists()


def test_a_digest_is_what_describe_says(small: Service, tmp_path: Path) -> None:
    """The manifest's digests are of the files themselves, so `sha256sum` can check a backup too."""
    fill(small)
    for item in backup(small.database, small.objects, tmp_path / "backup").objects:
        assert describe(item.key, tmp_path / "backup" / "objects" / item.key) == item.info()


def streaming(name: str, folder: Path) -> subprocess.Popen[bytes]:
    """`retort backup -` or `restore -`, which waits for the other end of its pipe."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RETORT_")}
    # As at a terminal: whoever starts the tests may ignore SIGHUP (`nohup`) and SIGINT (a shell's background).
    heard = "import signal as s; s.signal(s.SIGHUP, s.SIG_DFL); s.signal(s.SIGINT, s.default_int_handler)"
    program = f"{heard}; from store.backup.cli import {name}; {name}()"
    return subprocess.Popen(
        [sys.executable, "-c", program, "-", "--data-dir", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=kept | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@contextmanager
def stuck(name: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], set[Path]]]:
    """The command in the midst of its stream, and the folders that it has made beside the service's own."""
    before = set(folder.iterdir())
    with streaming(name, folder) as process:
        try:
            assert process.stdout is not None
            assert process.stdin is not None
            if name == "backup":
                process.stdout.read(1)  # it has come to the end of its folder, and there is more than a pipe takes
            else:
                process.stdin.write(b"\0")
                process.stdin.flush()
            deadline = time.monotonic() + within(30)
            while not (made := set(folder.iterdir()) - before):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield process, made
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("name", "end"),
    [("backup", signal.SIGTERM), ("backup", signal.SIGHUP), ("backup", signal.SIGINT), ("backup", signal.SIGPIPE),
     ("restore", signal.SIGTERM)],
)  # fmt: skip
def test_a_stream_that_is_ended_leaves_nothing(small: Service, tmp_path: Path, name: str, end: signal.Signals) -> None:
    fill(small)
    before = set(tmp_path.iterdir())
    with stuck(name, tmp_path) as (process, made):
        assert len(made) == 1
        if end != signal.SIGPIPE:
            process.send_signal(end)
        elif process.stdout is not None and process.stdin is not None:
            process.stdout.close()
            process.stdin.close()
        code = process.wait(within(30))
    assert code == (1 if end in {signal.SIGINT, signal.SIGPIPE} else 128 + end)
    assert set(tmp_path.iterdir()) == before


def test_what_kill_leaves_goes_with_the_next_stream_and_no_other(small: Service, tmp_path: Path) -> None:
    fill(small)
    kept = tmp_path / "backup-monday"
    assert command("backup", str(kept), "--data-dir", str(tmp_path)).returncode == 0
    with stuck("backup", tmp_path) as (process, left):
        process.kill()
        process.wait(within(30))
    assert all(path.exists() for path in left)
    with stuck("backup", tmp_path) as (alive, its):
        assert not any(path.exists() for path in left)
        assert command("backup", "-", "--data-dir", str(tmp_path)).returncode == 0
        assert all(path.exists() for path in its)
        assert alive.stdout is not None
        rest = alive.stdout.read()
        assert alive.wait(within(30)) == 0
    assert len(rest) > 100_000
    check(kept)
