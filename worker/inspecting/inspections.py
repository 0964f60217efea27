"""Teachers and datasets that wait for a verdict: fetched, looked at by an inspector process, made ready or invalid."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from distill.errors import RetortError
from distill.tasks import of_report
from store.database import AWAY, Database
from store.objects import ObjectStore, StorageUnavailable
from store.repositories import resources
from store.repositories.leases import LeaseLost
from store.repositories.recording import clean
from store.settings import Settings
from store.shard_references import KIND
from store.tables import Dataset, Teacher
from worker.errors import Internal, StorageDown
from worker.inspecting import conversions, thumbnails
from worker.inspecting.adopting import adopt
from worker.inspecting.inspector import ALLOWED, ANSWER, CONFINED, REQUEST
from worker.inspecting.streams import Stream
from worker.inspecting.verdicts import explain_inspection
from worker.isolation import users
from worker.processes import scratch
from worker.processes.environment import child_environment
from worker.processes.process import TrainerProcess
from worker.transfer.fetching import Fetcher
from worker.transfer.inputs import dataset_input
from worker.watching.waiting import Patience

log = logging.getLogger(__name__)
COMMAND = (sys.executable, "-m", "worker.inspecting.inspector")
TABLES: dict[type[Teacher] | type[Dataset], str] = {Teacher: "teacher", Dataset: "dataset"}
IDLE_SECONDS, CPU_SECONDS = 600.0, 3600.0  # in which an inspector may do nothing, and of processor time
TICK_SECONDS, AGAIN_SECONDS = 0.05, 15.0


class Leaving(Exception):
    """The worker shuts down; another one inspects later."""


class Inspections:
    """Done one at a time, beside the slots: an inspection is seconds of one core. `streamed`: only datasets of
    shards, which may take hours to read; or only others; None: all."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        objects: ObjectStore,
        worker_id: str,
        leaving: threading.Event,
        command: Sequence[str] = COMMAND,
        streamed: bool | None = None,
    ) -> None:
        self._settings, self._database, self._objects = settings, database, objects
        self._streamed_only = streamed
        self._worker_id, self._leaving, self._command = worker_id, leaving, command

    def run_next(self) -> bool:
        """Inspect one row; False when none waits. Raises one of `AWAY`."""
        row = (None if self._streamed_only else self._claim(Teacher)) or self._claim(Dataset)
        if row is None:
            return False
        self._inspect(row)
        return True

    def _claim(self, table: type[resources.Resource]) -> resources.Resource | None:
        with self._database.read() as session:
            waiting = resources.waiting(session, table, streamed=self._streamed_only)
        for resource_id in waiting:
            with self._database.write() as session:
                row = resources.claim(session, table, resource_id, self._worker_id, self._settings.lease_seconds)
            if row is not None:
                return row
        return None

    def _inspect(self, row: Teacher | Dataset) -> None:
        log.info("inspecting %s", row.id)
        try:
            if row.attempt > self._settings.max_attempts:
                answer = _refused(Internal(f"{row.attempt - 1} inspections of this input ended without an answer."))
            else:
                answer = self._answer(row)
            self._write(row, answer)
        except Leaving:
            self._release(row, 0)
        except (StorageDown, OSError) as error:  # no store, or no room on our own disk
            log.warning("%s is inspected later: %s", row.id, error)
            self._release(row, AGAIN_SECONDS)
        except LeaseLost:
            log.warning("%s was deleted or taken over while it was inspected", row.id)
            if isinstance(row, Teacher):
                conversions.clear_if_gone(row, self._database, self._objects)
            else:
                self._clear_if_gone(row)

    def _answer(self, row: Teacher | Dataset) -> dict[str, Any]:
        with scratch.folder(self._settings.scratch, row.id, row.attempt) as folder:
            try:
                keep = _Keeper(self._settings, self._database, row, self._leaving)
                if isinstance(row, Dataset) and row.kind == KIND:
                    return self._streamed(row, folder, keep)
                request = self._fetch(row, folder, keep)
                answer = run(self._command, TABLES[type(row)], folder, request, self._settings, keep.check)
                if isinstance(row, Teacher) and row.source and "report" in answer:
                    facts = answer.get("converted", {})
                    answer["values"] = conversions.keep(row, folder, facts, self._objects, keep.check)
                return thumbnails.kept(self._objects, row, folder, answer)
            except StorageDown:
                raise
            except RetortError as error:
                return _refused(error)

    def _streamed(self, row: Dataset, folder: Path, keep: _Keeper) -> dict[str, Any]:
        """Of a dataset of shards."""
        stream = Stream(self._settings, self._objects, row, folder, keep.check)
        with stream.supplier as supplier:
            answer = run(
                self._command, "dataset", stream.folder, stream.request, self._settings, keep.check,
                lambda: supplier.busy,
            )  # fmt: skip
        if "report" in answer:
            answer["values"] = stream.kept(self._database)
        return thumbnails.kept(self._objects, row, stream.folder, answer)

    def _fetch(self, row: Teacher | Dataset, folder: Path, keep: _Keeper) -> dict[str, Any]:
        fetcher = Fetcher(self._objects, folder, keep.check, lambda level, message: log.info("%s: %s", row.id, message))
        if isinstance(row, Dataset):
            adopt(self._settings, self._database, self._objects, row, folder, keep.check)
            return dataset_input(row, fetcher).model_dump(mode="json")
        told = {"architecture": row.architecture, "preprocessing": row.preprocessing}
        if row.source:
            path = conversions.fetch(row, fetcher, folder, self._settings, self._database, keep.check)
            return told | {"source": str(path)}
        weights = fetcher.get(row.object_key, row.sha256, "teacher.safetensors")
        return told | {"weights": str(weights)}

    def _write(self, row: Teacher | Dataset, answer: dict[str, Any]) -> None:
        answer = clean(answer)
        status = "ready" if "report" in answer else "invalid"
        values = {"report": answer.get("report"), "error": answer.get("error")}
        if isinstance(row, Dataset) and status == "ready":
            values["task"] = of_report(answer["report"])
            if not row.digest:  # no files to take one over: that of the content
                values["digest"] = answer["report"].get("digest", "")
        with self._database.write() as session:
            resources.finish(session, row, status, **values | answer.get("values", {}))
        log.info("%s is %s", row.id, status)
        if isinstance(row, Teacher) and status == "ready":
            conversions.forget(row, self._objects)

    def _clear_if_gone(self, row: Dataset) -> None:
        """Remove what this inspection has stored, if its row was deleted; another worker's is left alone."""
        with self._database.read() as session:
            gone = session.get(Dataset, row.id) is None
        if gone:
            for key in resources.object_keys(row):
                with suppress(StorageUnavailable):
                    self._objects.delete(key)

    def _release(self, row: Teacher | Dataset, seconds: float) -> None:
        """Let another try, in a while."""
        with self._database.write() as session:
            resources.release(session, row, seconds)


class _Keeper:
    """Renews the row's lease while an inspection goes on; a moment without the database is no reason to give up."""

    def __init__(
        self, settings: Settings, database: Database, row: Teacher | Dataset, leaving: threading.Event
    ) -> None:
        self._settings, self._database, self._row, self._leaving = settings, database, row, leaving
        self._renewed = time.monotonic()

    def check(self) -> None:
        """Call often. Raises `Leaving`, `LeaseLost`."""
        if self._leaving.is_set():
            raise Leaving
        now = time.monotonic()
        if now - self._renewed < self._settings.renew_seconds:
            return
        try:
            with self._database.write() as session:
                resources.renew(session, self._row, self._settings.lease_seconds)
            self._renewed = now
        except AWAY as error:
            if now - self._renewed > self._settings.lease_seconds:
                raise LeaseLost(self._row.id) from error


def run(
    command: Sequence[str], what: str, folder: Path, request: dict[str, Any], settings: Settings, check: Any,
    waits: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:  # fmt: skip
    """Let an inspector process answer; however it ends there is an answer. `waits`: whether it does nothing because of
    us. Raises what `check` raises."""
    (folder / REQUEST).write_text(json.dumps(request))
    own = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TMPDIR": str(folder)}
    user = users.inspector(settings) if what in CONFINED else None
    users.grant(folder, user, [""])
    process = TrainerProcess([*command, what], folder, child_environment(settings, own), user)
    patience, most = Patience(process.pid, IDLE_SECONDS), CPU_SECONDS + request.get(ALLOWED, 0)
    try:
        while not process.exited():
            check()
            if waits():
                patience.rest()
            elif patience.left() <= 0:
                return _refused(Internal(f"The inspection hung: it did nothing for {IDLE_SECONDS:.0f} s."))
            if patience.cpu_seconds > most:
                return _refused(Internal(f"The inspection took more than {most:.0f} s of processor time."))
            time.sleep(TICK_SECONDS)
    finally:
        process.end(0)
    if (folder / ANSWER).is_file():
        answer: dict[str, Any] = json.loads((folder / ANSWER).read_text())
        if answer.get("error", {}).get("code") == Internal.code:  # whose remedy sends to this log
            log.error("an inspector failed: %s", "\n".join(process.tail))
        return answer
    log.error("an inspector died: %s", "\n".join(process.tail))
    assert process.exit_code is not None
    last = process.tail[-1] if process.tail else ""
    return _refused(explain_inspection(what, process.exit_code, process.peak_memory_bytes, last))


def _refused(error: RetortError) -> dict[str, Any]:
    return {"error": error.to_dict()}
