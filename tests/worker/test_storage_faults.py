"""A store that is away, loses or changes bytes: waited for, read again, caught by digest; never a false success."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.objects import FolderStore, StorageUnavailable
from store.objects.base import ObjectInfo
from store.repositories import jobs
from tests.store.support import new_dataset
from tests.worker.support import World, wait_until


class Faulty(FolderStore):
    """A folder that can be switched off, and that can write or read other bytes than it was given."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.away, self.damage_puts, self.damage_reads = False, 0, 0

    def put(self, key: str, path: Path) -> ObjectInfo:
        self._answer()
        info = super().put(key, path)
        if self.damage_puts:
            self.damage_puts -= 1
            (self.root / key).write_bytes(b"other bytes")
        return info

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        self._answer()
        if self.damage_reads:
            self.damage_reads -= 1
            return iter([b"cut off"])
        return super().read(key, start, end)

    def _answer(self) -> None:
        if self.away:
            raise StorageUnavailable("switched off by the test")


@pytest.fixture
def faulty(world: World) -> Faulty:
    world.objects = Faulty(world.settings.data_dir / "objects")
    return world.objects


def uploaded_dataset(world: World) -> str:
    path = world.settings.data_dir / "data.zip"
    path.write_bytes(b"whatever the trainer makes of it")
    info = world.objects.put("datasets/d/all.zip", path)
    files = {"all": {"object_key": info.key, "size_bytes": info.size_bytes, "sha256": info.sha256}}
    return new_dataset(world.database, kind="archive", files=files)


def test_a_store_that_is_away_keeps_the_job_uploading_until_it_is_back(world: World, faulty: Faulty) -> None:
    world.queue()
    faulty.away = True
    with world.running("success", "switched off by the test") as ended:
        wait_until(lambda: world.job.phase == "uploading")
        assert world.job.status == "running"
        faulty.away = False
    assert ended == ["succeeded"]
    assert world.artifact() == "weights"


def test_other_bytes_in_the_store_are_caught_and_stored_again(world: World, faulty: Faulty) -> None:
    faulty.damage_puts = 2
    assert world.run("success") == "succeeded"
    assert world.artifact() == "weights"
    assert any("other bytes" in line for line in world.logs())


def test_cancel_while_uploading(world: World, faulty: Faulty) -> None:
    world.queue()
    faulty.away = True
    with world.running("success", "switched off by the test") as ended:
        world.ask("cancelling")
    assert ended == ["cancelled"]
    assert world.nothing_left()


def test_leaving_while_the_store_is_away_hands_over(world: World, faulty: Faulty) -> None:
    world.queue()
    faulty.away = True
    with world.running("success", "switched off by the test") as ended:
        world.leaving.set()
    assert ended == ["queued"]
    assert world.attempts[0].outcome == "handed_over"


def test_cancel_while_fetching(world: World, faulty: Faulty) -> None:
    world.queue(dataset_id=uploaded_dataset(world))
    faulty.away = True
    with world.running("success", "switched off by the test") as ended:
        assert world.job.phase == "fetching"
        world.ask("cancelling")
    assert ended == ["cancelled"]
    assert world.nothing_left()


def test_a_store_that_comes_back_while_fetching(world: World, faulty: Faulty) -> None:
    world.queue(dataset_id=uploaded_dataset(world))
    faulty.away = True
    with world.running("success", "switched off by the test") as ended:
        faulty.away = False
    assert ended == ["succeeded"]


def test_an_input_read_damaged_is_read_again(world: World, faulty: Faulty) -> None:
    world.queue(dataset_id=uploaded_dataset(world))
    faulty.damage_reads = 2
    assert world.run("success") == "succeeded"


def test_an_input_that_stays_damaged_is_a_readable_error(world: World, faulty: Faulty) -> None:
    world.queue(dataset_id=uploaded_dataset(world), max_attempts=1)
    faulty.damage_reads = 100
    assert world.run("success") == "failed"
    assert world.job.error is not None
    assert world.job.error["code"] == "input_damaged"


def test_a_damaged_checkpoint_falls_back_to_the_one_before(world: World) -> None:
    world.queue()
    hold = world.settings.scratch / "hold"
    hold.parent.mkdir(parents=True)
    hold.touch()
    for step in (3, 4):
        with world.running("steps", f"step {step}"):
            world.leaving.set()
        world.leaving.clear()
    hold.unlink()
    with world.database.read() as session:
        newest, older = jobs.checkpoints(session, world.job_id)
    (world.settings.data_dir / "objects" / newest.object_key).write_bytes(b"rotten")
    assert world.run("steps") == "succeeded"
    assert f'"from": {older.step}' in world.artifact()


def test_a_full_disk_is_a_readable_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel reports it when the spec is written; the disk itself cannot be filled here without a quota."""
    import worker.transfer.inputs

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(worker.transfer.inputs, "fetch_all", full)
    world.queue(max_attempts=1)
    assert world.run("success") == "failed"
    assert world.job.error is not None
    assert (world.job.error["code"], world.job.error["fault"]) == ("disk_full", "system")
    assert "RETORT_SCRATCH_DIR" in world.job.error["remedy"]


def test_checkpoints_that_cannot_be_stored_do_not_end_the_run(world: World, faulty: Faulty) -> None:
    world.queue()
    faulty.away = True
    threading.Timer(2.5, lambda: setattr(faulty, "away", False)).start()
    assert world.run("steps") == "succeeded"
