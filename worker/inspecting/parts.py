"""Large datasets of shards are read in parts, by all workers at the same time (docs/decisions/0041).

Whoever claims such a dataset lists its shards, makes parts of them and gives it back. Then each reader of each worker
claims a part, reads it in an inspector of its own and stores what that wrote. When no part waits any more the dataset
is claimed again, and its parts are joined.
"""

from __future__ import annotations

import logging
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distill.errors import RetortError
from distill.modalities.images.shards.spans import Span, spans
from store import shard_references
from store.database import Database
from store.objects import ObjectStore, StorageUnavailable
from store.repositories import parts
from store.repositories.leases import LeaseLost
from store.repositories.recording import clean
from store.settings import Settings
from store.tables import Dataset, DatasetPart
from worker.errors import Internal, StorageDown
from worker.inspecting.inspector import PART_FILE
from worker.inspecting.keeping import Keeper, Leaving
from worker.inspecting.process import COMMAND, refused
from worker.inspecting.shard_list import ShardList, listed
from worker.inspecting.streams import Reads, Stream
from worker.processes import scratch
from worker.transfer.fetching import Fetcher
from worker.transfer.shards import Entry
from worker.transfer.storing import put

log = logging.getLogger(__name__)
MOST_PARTS = 2000
AGAIN_SECONDS, LONGER = 15.0, 8
"""How long a part waits that a system's fault ended, and how many times longer with each further one: what all others
have read is lost where a server is away for all attempts."""
Check = Callable[[], None]


def wanted(settings: Settings, shards: ShardList) -> list[Span]:
    """The parts of a dataset; a small one is one."""
    return spans(shards.counted, settings.shard_part_bytes, MOST_PARTS)


def divide(database: Database, row: Dataset, into: Sequence[Span], known: Mapping[str, Any]) -> None:
    """Make parts of the dataset, and give it back. `known`: as in `store.repositories.parts.divide`. Raises
    `LeaseLost`."""
    with database.write() as session:
        parts.divide(session, row, into, **known)
    log.info("%s is read in %d parts", row.id, len(into))


def read_by_others(
    found: Sequence[DatasetPart], row: Dataset, objects: ObjectStore, folder: Path, check: Check
) -> Reads | None:
    """What is to be joined, fetched to `folder`; None where the first part's problem is the answer. Raises
    `InputDamaged`, `StorageDown`, and what `check` raises."""
    last = found[-1]
    if last.number == 0 and last.error is not None:
        return None
    fetcher = Fetcher(objects, folder, check, lambda level, message: log.info("%s: %s", row.id, message))
    files = [
        fetcher.get(part.file["object_key"], part.file["sha256"], f"part-{part.number}") for part in found if part.file
    ]
    known = [Entry(**entry) for part in found for entry in part.entries or ()]
    return Reads(parts=files, known=known, problem=last.error)


def forget(objects: ObjectStore, dataset_id: str) -> None:
    """Remove what was stored of the parts, once the dataset has its verdict. What cannot be removed now goes with the
    dataset."""
    try:
        for key in list(objects.keys(shard_references.parts(dataset_id))):
            objects.delete(key)
    except StorageUnavailable as error:
        log.warning("the parts of %s stay for now: %s", dataset_id, error)


class Parts:
    """Reads parts one after the other; several of it work side by side. `command`: of the inspector."""

    def __init__(
        self, settings: Settings, database: Database, objects: ObjectStore, worker_id: str, leaving: threading.Event,
        command: Sequence[str] = COMMAND,
    ) -> None:  # fmt: skip
        self._settings, self._database, self._objects = settings, database, objects
        self._worker_id, self._leaving, self._command = worker_id, leaving, command

    def read_next(self) -> bool:
        """Read one part; False when none waits. Raises one of `AWAY`."""
        claimed = self._claim()
        if claimed is None:
            return False
        part, row = claimed
        try:
            self._read(part, row)
        except Leaving:
            self._release(part, 0)
        except (StorageDown, OSError) as error:  # no store, or no room on our own disk
            log.warning("part %d of %s is read later: %s", part.number, row.id, error)
            self._release(part, AGAIN_SECONDS)
        except LeaseLost as error:
            log.warning("%s", error)
            self._clear_if_gone(part)
        return True

    def _claim(self) -> tuple[DatasetPart, Dataset] | None:
        with self._database.read() as session:
            waiting = parts.waiting(session)
        for dataset_id, number in waiting:
            with self._database.write() as session:
                found = parts.claim(session, dataset_id, number, self._worker_id, self._settings.lease_seconds)
            if found is not None:
                return found
        return None

    def _read(self, part: DatasetPart, row: Dataset) -> None:
        log.info("reading part %d of %s", part.number, row.id)
        file: dict[str, Any] | None = None
        entries: list[Entry] = []
        if part.attempt > self._settings.max_attempts:
            answer = refused(Internal(f"{part.attempt - 1} readings of some shards ended without an answer."))
        else:
            with scratch.folder(self._settings.scratch, f"{row.id}-part-{part.number}", part.attempt) as folder:
                answer, file, entries = self._answer(part, row, folder)
        error = clean(answer).get("error")
        details = (error or {}).get("details") or {}
        if error is not None and "shard" not in details:
            error["details"] = details | {"shards": [part.first, part.end - 1]}
        if error is not None and error.get("fault") == "system" and part.attempt < self._settings.max_attempts:
            log.warning("part %d of %s is read again: %s", part.number, row.id, error["message"])
            self._release(part, AGAIN_SECONDS * LONGER ** (part.attempt - 1), counts=True)
            return
        with self._database.write() as session:
            parts.finish(session, part, file, [asdict(entry) for entry in entries], error)
        log.info("part %d of %s is %s", part.number, row.id, "read" if error is None else "failed")

    def _answer(
        self, part: DatasetPart, row: Dataset, folder: Path
    ) -> tuple[dict[str, Any], dict[str, Any] | None, list[Entry]]:
        """The inspector's answer, the stored file that it wrote, and what its shards are."""
        stream: Stream | None = None

        def renew(session: Any) -> None:
            came = stream.came if stream is not None else ()
            size = sum(entry.size_bytes for entry in came)
            parts.renew(session, part, self._settings.lease_seconds, len(came), size)

        keep = Keeper(self._settings, self._database, self._leaving, f"part {part.number} of {row.id}", renew)
        try:
            shards = listed(self._settings, self._objects, row, folder, keep.check)
            span = (part.first, part.end)
            stream = Stream(self._settings, self._objects, row, folder, keep.check, shards, Reads(span=span))
            answer = stream.answer(self._command, "part")
            entries = stream.came
            if "report" in answer and len(entries) < part.end - part.first:
                answer = refused(Internal("The inspection did not read all shards of its part."))
            file = self._stored(part, stream.folder / PART_FILE, keep.check)
            if "report" in answer and file is None:
                answer = refused(Internal("The inspection left no part of an index."))
        except StorageDown:
            raise
        except RetortError as error:
            return refused(error), None, []
        return answer, file, entries

    def _stored(self, part: DatasetPart, path: Path, check: Check) -> dict[str, Any] | None:
        """Each attempt under a key of its own: one that has lost its lease writes over nobody's."""
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                return None
        except FileNotFoundError:
            return None
        key = _key(part)
        info = put(self._objects, key, path, "a part of an index", check)
        return {"object_key": key, "size_bytes": info.size_bytes, "sha256": info.sha256}

    def _release(self, part: DatasetPart, seconds: float, *, counts: bool = False) -> None:
        try:
            with self._database.write() as session:
                parts.release(session, part, seconds, counts=counts)
        except LeaseLost:
            self._clear_if_gone(part)

    def _clear_if_gone(self, part: DatasetPart) -> None:
        """Remove what this attempt has stored, if nobody will join it: its dataset was deleted, or has its verdict."""
        with self._database.read() as session:
            row = session.get(Dataset, part.dataset_id)
        if row is None or row.status != "inspecting":
            forget(self._objects, part.dataset_id)


def _key(part: DatasetPart) -> str:
    return f"{shard_references.parts(part.dataset_id)}{part.number}-{part.attempt}"
