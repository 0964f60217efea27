"""Teachers and datasets that wait for a verdict: fetched, looked at by an inspector process, made ready or invalid."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from distill.errors import RetortError
from distill.modalities.images.shards.sampling import is_worth
from distill.modalities.images.shards.spans import Span
from distill.tasks import of_report
from store.database import Database
from store.objects import ObjectStore, StorageUnavailable
from store.repositories import parts as stored_parts
from store.repositories import resources
from store.repositories.leases import LeaseLost
from store.repositories.recording import clean
from store.settings import Settings
from store.shard_references import KIND
from store.tables import Dataset, Teacher
from worker.errors import Internal, StorageDown
from worker.inspecting import conversions, parts, samples, thumbnails
from worker.inspecting.adopting import adopt
from worker.inspecting.keeping import Keeper, Leaving
from worker.inspecting.process import COMMAND, refused, run
from worker.inspecting.shard_list import ShardList, kept, listed
from worker.inspecting.streams import Stream
from worker.processes import scratch
from worker.transfer.fetching import Fetcher
from worker.transfer.inputs import dataset_input

log = logging.getLogger(__name__)
TABLES: dict[type[Teacher] | type[Dataset], str] = {Teacher: "teacher", Dataset: "dataset"}
AGAIN_SECONDS = 15.0


class Divided(Exception):
    """The dataset is read in parts, and was given back."""


class Inspections:
    """Done one at a time, beside the slots: an inspection is seconds of one core. `streamed`: only datasets of
    shards, which may take hours to read, and parts of them; or only others; None: all. `wake`: called when there is
    more to do for others."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        objects: ObjectStore,
        worker_id: str,
        leaving: threading.Event,
        command: Sequence[str] = COMMAND,
        streamed: bool | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings, self._database, self._objects = settings, database, objects
        self._streamed_only = streamed
        self._worker_id, self._leaving, self._command, self._wake = worker_id, leaving, command, wake
        self._parts = parts.Parts(settings, database, objects, worker_id, leaving, command)

    def run_next(self) -> bool:
        """Inspect one row, or read one part of a dataset; False when none waits. Raises one of `AWAY`."""
        row = (None if self._streamed_only else self._claim(Teacher)) or self._claim(Dataset)
        if row is None:
            return self._streamed_only is not False and self._parts.read_next()
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
                answer = refused(Internal(f"{row.attempt - 1} inspections of this input ended without an answer."))
            else:
                answer = self._answer(row)
            self._write(row, answer)
        except Divided:
            self._wake()
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
                keep = Keeper(self._settings, self._database, self._leaving, row.id, self._renewing(row))
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
                return refused(error)

    def _renewing(self, row: Teacher | Dataset) -> Callable[[Session], None]:
        return lambda session: resources.renew(session, row, self._settings.lease_seconds)

    def _streamed(self, row: Dataset, folder: Path, keep: Keeper) -> dict[str, Any]:
        """Of a dataset of shards: read here, or joined of the parts that others have read. Raises `Divided`."""
        with self._database.read() as session:
            found = stored_parts.of_dataset(session, row.id)
        if any(part.status == "waiting" for part in found):  # made between our look at what waits and our claim
            with self._database.write() as session:
                resources.give_back(session, row)
            raise Divided
        shards, reads = listed(self._settings, self._objects, row, folder, keep.check), None
        if found:
            reads = parts.read_by_others(found, row, self._objects, folder, keep.check)
            if reads is None:
                return {"error": found[-1].error}
        elif len(into := parts.wanted(self._settings, shards)) > 1:
            return self._begun(row, shards, into, folder, keep)
        stream = Stream(self._settings, self._objects, row, folder, keep.check, shards, reads)
        answer = stream.answer(self._command, "dataset")
        if "report" in answer and reads is not None and reads.problem is not None:
            return {"error": reads.problem}
        if "report" in answer:
            answer["values"] = stream.kept(self._database)
        return thumbnails.kept(self._objects, row, stream.folder, answer)

    def _begun(
        self, row: Dataset, shards: ShardList, into: Sequence[Span], folder: Path, keep: Keeper
    ) -> dict[str, Any]:
        """The answer on a large dataset, where a sample is enough for it; else raises `Divided`."""
        known, ends = dict(row.reading or {}), samples.only(row)
        if samples.SAMPLE not in known and (ends or is_worth(shards.counted)):
            answer = samples.answered(self._settings, self._objects, row, shards, self._command, keep.check)
            if "error" in answer and (ends or answer["error"]["fault"] == "user"):
                return answer
            known |= {samples.SAMPLE: answer["report"]} if "report" in answer else {}
        known |= kept(shards, self._objects, row, folder, keep.check)
        if ends:
            return {"sampled": known}
        parts.divide(self._database, row, into, known)
        raise Divided

    def _fetch(self, row: Teacher | Dataset, folder: Path, keep: Keeper) -> dict[str, Any]:
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
        status = "ready" if "report" in answer else "sampled" if "sampled" in answer else "invalid"
        values = {"report": answer.get("report"), "error": answer.get("error")}
        if status == "sampled":
            values["reading"] = answer["sampled"]
        if isinstance(row, Dataset) and status == "ready":
            values["task"] = of_report(answer["report"])
            if not row.digest:  # no files to take one over: that of the content
                values["digest"] = answer["report"].get("digest", "")
        with self._database.write() as session:
            resources.finish(session, row, status, **values | answer.get("values", {}))
        log.info("%s is %s", row.id, status)
        if isinstance(row, Teacher) and status == "ready":
            conversions.forget(row, self._objects)
        if isinstance(row, Dataset) and row.reading and status != "sampled":
            parts.forget(self._objects, row.id)

    def _clear_if_gone(self, row: Dataset) -> None:
        """Remove what this inspection has stored, if its row was deleted; another worker's is left alone."""
        with self._database.read() as session:
            gone = session.get(Dataset, row.id) is None
        if gone:
            for key in resources.object_keys(row):
                with suppress(StorageUnavailable):
                    self._objects.delete(key)
            parts.forget(self._objects, row.id)

    def _release(self, row: Teacher | Dataset, seconds: float) -> None:
        """Let another try, in a while."""
        with self._database.write() as session:
            resources.release(session, row, seconds)
