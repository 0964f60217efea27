"""Artifacts and checkpoints into the object store. A row exists only for what was read back and compared."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from store.objects import ObjectMissing, ObjectStore, StorageUnavailable
from store.objects.base import ObjectInfo, verify
from store.repositories import jobs, recording
from store.repositories.leases import Lease, LeaseLost, fenced
from store.tables import Artifact, Checkpoint
from worker.isolation import users
from worker.jobs.holding import Holding
from worker.transfer.fetching import Interruptible

log = logging.getLogger(__name__)
KEPT_CHECKPOINTS = 2


def upload_artifact(
    objects: ObjectStore,
    holding: Holding,
    data: dict[str, Any],
    check: Callable[[], None],
    note: Callable[[str, str], None],
) -> None:
    """Store one finished file and write its row, trying for as long as `check` lets us. Raises what `check` raises,
    `LeaseLost`, and OSError when the file is not there."""
    key = f"jobs/{holding.lease.job_id}/artifacts/{holding.lease.attempt}/{data['name']}"
    info = _put_verified(objects, key, Path(data["path"]), check, note)
    row = {"media_type": data["media_type"], "object_key": key, "size_bytes": info.size_bytes, "sha256": info.sha256}
    job_id, name = holding.lease.job_id, data["name"]
    holding.write(lambda s: recording.add_artifact(s, holding.lease, Artifact(job_id=job_id, name=name, **row)))


def _put_verified(
    objects: ObjectStore, key: str, path: Path, check: Callable[[], None], note: Callable[[str, str], None]
) -> ObjectInfo:
    pause = 0.5
    while True:
        check()
        try:
            info = objects.put(key, path)
            reader: Any = Interruptible(objects, check)
            if verify(reader, info):
                return info
            note("warning", f"the object store kept other bytes than it was given for {path.name}; storing it again")
        except (StorageUnavailable, ObjectMissing) as error:
            note("warning", f"waiting for the object store to take {path.name}: {error}")
        until = time.monotonic() + pause
        while time.monotonic() < until:
            check()
            time.sleep(0.1)
        pause = min(pause * 2, 15.0)


def own_file(folder: Path, said: str) -> Path:
    """The file of the attempt's folder that a trainer names. Raises `PermissionError` for any other: a trainer that a
    hostile input has taken over must not have us store what it cannot read itself. Readable, whoever made it."""
    path = Path(said)
    real = path.resolve()
    if path.is_symlink() or not real.is_relative_to(folder.resolve()) or (real.exists() and not real.is_file()):
        raise PermissionError(errno.EPERM, "not a file of this job", said)
    if real.exists():
        users.readable(real)
    return real


@dataclass(frozen=True, slots=True)
class _Saved:
    path: Path
    step: int
    epoch: float
    said: int  # events that the trainer had said by then


class CheckpointUploader:
    """Uploads from a thread of its own, so that a slow store delays neither events nor a cancel. While one is on its
    way only the newest of those that follow is kept. A failed upload costs one checkpoint, not the run.

    A checkpoint counts only once all that was said before it is `written`: whoever continues from it never says that
    again, so events that a dying worker had in memory would be lost."""

    def __init__(self, objects: ObjectStore, holding: Holding, folder: Path, written: Callable[[], int]) -> None:
        self._objects, self._holding, self._folder, self._written = objects, holding, folder, written
        self._changed, self._next, self._busy, self._closed = threading.Condition(), _none(), False, False
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._work,), daemon=True, name=f"checkpoints-{holding.lease.job_id}"
        )
        self._thread.start()

    def submit(self, data: dict[str, Any], said: int) -> None:
        """Take over a complete file: a hard link keeps it when the trainer removes its own name for it."""
        source = own_file(self._folder, data["path"])
        link = self._folder / f"upload-{data['step']}{source.suffix}"
        link.unlink(missing_ok=True)
        link.hardlink_to(source)
        with self._changed:
            if self._next is not None:
                self._next.path.unlink(missing_ok=True)
            self._next = _Saved(link, int(data["step"]), float(data["epoch"]), said)
            self._changed.notify_all()

    def drain(self, seconds: float) -> bool:
        """Wait until everything submitted is stored (or given up). False when the time was over first."""
        with self._changed:
            return self._changed.wait_for(lambda: self._next is None and not self._busy, seconds)

    def close(self) -> None:
        """Take no more; what is on its way goes on until the lease or the file is gone."""
        with self._changed:
            self._closed, self._next = True, None
            self._changed.notify_all()

    def _work(self) -> None:
        while (saved := self._take()) is not None:
            try:
                self._upload(saved)
            except LeaseLost:
                pass
            except (StorageUnavailable, OSError) as error:
                log.warning("checkpoint of step %d of %s not stored: %s", saved.step, self._holding.lease.job_id, error)
            except Exception:
                log.exception("checkpoint of step %d of %s not stored", saved.step, self._holding.lease.job_id)
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _take(self) -> _Saved | None:
        with self._changed:
            self._changed.wait_for(lambda: self._next is not None or self._closed)
            saved, self._next, self._busy = self._next, None, self._next is not None
            return saved

    def _upload(self, saved: _Saved) -> None:
        lease = self._holding.lease
        key = key_of(lease.job_id, saved.step, lease.attempt, saved.path.suffix)
        info = self._objects.put(key, saved.path)
        saved.path.unlink(missing_ok=True)
        try:
            self._wait_for_events(saved.said)
            unused = self._holding.write(lambda session: _write(session, lease, saved, info))
        except LeaseLost:  # the attempt ended meanwhile: no row will ever name this object
            self._delete([key])
            raise
        self._delete(unused)

    def _delete(self, keys: list[str]) -> None:
        with suppress(StorageUnavailable):  # an object without a row costs room until the sweep of orphans, no more
            for key in keys:
                self._objects.delete(key)

    def _wait_for_events(self, said: int) -> None:
        while self._written() < said:
            if self._holding.lost:
                raise LeaseLost(self._holding.lease.job_id)
            time.sleep(0.02)


def key_of(job_id: str, step: int, attempt: int, suffix: str) -> str:
    """Where a checkpoint is stored. `step` is below 0 while a recipe is chosen; no part of a key begins with `-`."""
    return f"jobs/{job_id}/checkpoints/step{step}-{attempt}{suffix}"


def _write(session: Session, lease: Lease, saved: _Saved, info: ObjectInfo) -> list[str]:
    """Add the checkpoint's row, drop those beyond the newest few, and return the keys that nothing refers to now."""
    fenced(session, lease)
    before = {row.object_key for row in jobs.checkpoints(session, lease.job_id)}
    facts = {"object_key": info.key, "size_bytes": info.size_bytes, "sha256": info.sha256}
    row = Checkpoint(job_id=lease.job_id, step=saved.step, epoch=saved.epoch, attempt=lease.attempt, **facts)
    recording.add_checkpoint(session, lease, row)
    session.flush()
    for stale in jobs.checkpoints(session, lease.job_id)[KEPT_CHECKPOINTS:]:
        session.delete(stale)
    session.flush()
    return sorted(before - {row.object_key for row in jobs.checkpoints(session, lease.job_id)})


def _none() -> _Saved | None:
    return None
