"""Teachers that were not sent as one safetensors file: fetched as they were sent, kept as what the inspector made."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from distill.safetensors_header import read_header
from distill.tasks import container
from distill.types import Architecture
from distill.vision_folder import BY_CONFIGURATION, CONFIG, PREPROCESSOR
from store.database import Database
from store.objects import ObjectStore, StorageUnavailable
from store.settings import Settings
from store.sources import FILENAME, files_of, stored, to_json
from store.tables import Teacher
from worker.errors import InputDamaged
from worker.inspecting.inspector import CONVERTED, MODEL_ZIP
from worker.transfer import hub
from worker.transfer.fetching import Fetcher
from worker.transfer.room import room_of
from worker.transfer.storing import put

log = logging.getLogger(__name__)
SOURCE = "source"


def fetch(
    row: Teacher, fetcher: Fetcher, folder: Path, settings: Settings, database: Database, check: Callable[[], None]
) -> Path:
    """The teacher's files as they were sent, or as the hub serves them: a single one under a name of ours, several in a
    folder under their own. Raises as `Fetcher.get` and `hub.fetch`."""
    files, target = files_of(row.source), folder / SOURCE
    if row.source and "huggingface" in row.source:
        wanted = row.source["huggingface"]
        room = room_of(settings, database, row.tenant_id)
        name = Architecture.model_validate(row.architecture).name
        beside = (CONFIG, PREPROCESSOR) if name in BY_CONFIGURATION else ()
        found = hub.fetch(settings, wanted["repo_id"], wanted["revision"], target, room, check, beside)
        row.source = to_json(found, huggingface=wanted)
        return target
    if len(files) == 1:
        return fetcher.get(files[0].object_key, files[0].sha256, SOURCE)
    target.mkdir()
    for file in files:
        if not FILENAME.fullmatch(file.filename):  # the API refuses these; a path must not be built of one anyway
            raise InputDamaged(f"{file.filename!r} is no name of a shard.")
        fetcher.get(file.object_key, file.sha256, f"{SOURCE}/{file.filename}")
    return target


def keep(
    row: Teacher, folder: Path, facts: dict[str, Any], objects: ObjectStore, check: Callable[[], None]
) -> dict[str, Any]:
    """Store the converted file as the teacher's object; the row's columns that tell of it. `check` is called while
    that goes on. Raises what it raises, `StorageDown`, `InvalidTeacher`."""
    path = folder / CONVERTED / "model.safetensors"
    if container(Architecture.model_validate(row.architecture).name) == "folder":
        path = folder / CONVERTED / MODEL_ZIP  # opened again, and checked again, by every process that trains on it
        if not zipfile.is_zipfile(path):
            raise InputDamaged("The inspection left no model.")
    else:
        read_header(path)  # the inspector had it in its hands; this process believes only what it has seen itself
    info = put(objects, row.object_key, path, "the converted weights", check)
    named = {name: value for name, value in (row.source or {}).items() if name == "huggingface"}
    told = {"notes": facts.get("notes", []), "isolation": facts.get("isolation", "")}
    return {
        "source": to_json(files_of(row.source), **named, **told),
        "size_bytes": info.size_bytes,
        "sha256": info.sha256,
    }


def clear_if_gone(row: Teacher, database: Database, objects: ObjectStore) -> None:
    """Its owner deleted the teacher while its weights were being stored: they must not outlive it."""
    with database.read() as session:
        gone = row.source is not None and session.get(Teacher, row.id) is None
    if gone:
        with suppress(StorageUnavailable):
            objects.delete(row.object_key)


def forget(row: Teacher, objects: ObjectStore) -> None:
    """Remove the uploaded files, once their conversion is stored and its row committed. Files that cannot be removed
    now are removed with the teacher."""
    try:
        for file in stored(row.source):
            objects.delete(file.object_key)
    except StorageUnavailable as error:
        log.warning("what %s was sent as stays for now: %s", row.id, error)
