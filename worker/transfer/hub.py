"""A checkpoint from a Hugging Face repository at a pinned revision: its weights as data, never any of its code.

Of the files at the repository's top these are taken, the first that is there: `model.safetensors`; the shards with
`model.safetensors.index.json`; `pytorch_model.bin`. They go the way of files that are sent here: sandboxed conversion,
validation, inspection.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distill.errors import InvalidDataset, InvalidTeacher
from store import hub
from store.references import WebReference
from store.settings import Settings
from store.sources import FILENAME, SourceFile
from worker.transfer.references import Download
from worker.transfer.room import ENDLESS, Room

INDEX, SHARD = "model.safetensors.index.json", ".safetensors"
SINGLE, PICKLED = "model.safetensors", "pytorch_model.bin"
LISTING_BYTES, MOST_FILES = 8 * 2**20, 1001
Check = Callable[[], None]


def fetch(
    settings: Settings, repository: str, revision: str, target: Path, room: Room, check: Check,
    beside: Sequence[str] = (),
) -> list[SourceFile]:  # fmt: skip
    """The checkpoint's files: a single one at `target`, several in a folder of that name. `beside`: further files that
    are taken where they are there beside safetensors, the configuration of a network that is built by it.

    Raises `InvalidTeacher` for a repository without a checkpoint, one that is too large, and bytes that are not what
    the repository says; `QuotaExceeded` as soon as it is known to be more than there is `room` for; `UrlRefused`;
    `ReferenceUnavailable`; what `check` raises.
    """
    hub.check_allowed(settings)
    entries = _listed(settings, repository, revision, target.with_name("tree.json"), check)
    names = chosen(entries, repository)
    names += [name for name in beside if name in entries and PICKLED not in names]
    listed = sum(int(entries[name].get("size") or 0) for name in names)
    room.check(listed)
    _check_size(listed, settings.max_upload_bytes)
    if len(names) > 1:
        target.mkdir()
    found = []
    for name in names:
        path = target if len(names) == 1 else target / name
        found.append(_one(hub.file(settings, repository, revision, name), entries[name], path, settings, check, room))
        room = room.less(found[-1].size_bytes)
    return found


def chosen(entries: dict[str, Any], repository: str) -> list[str]:
    """Which of a repository's files make a checkpoint. Raises `InvalidTeacher`."""
    shards = sorted(name for name in entries if name.endswith(SHARD) and FILENAME.fullmatch(name))
    if SINGLE in entries:
        return [SINGLE]
    if INDEX in entries and 0 < len(shards) < MOST_FILES:
        return [INDEX, *shards]
    if PICKLED in entries:
        return [PICKLED]
    raise InvalidTeacher(
        f"{repository} has no checkpoint that is read here, at this revision.",
        f"It needs {SINGLE}, {INDEX} with its shards, or {PICKLED} at its top; or upload the file here.",
        {"files": sorted(entries)[:50]},
    )


def _listed(settings: Settings, repository: str, revision: str, path: Path, check: Check) -> dict[str, Any]:
    _download(settings, hub.listing(settings, repository, revision), path, check)
    try:
        if path.stat().st_size > LISTING_BYTES:
            raise ValueError("too long")
        entries = json.loads(path.read_bytes())
        return {str(entry["path"]): entry for entry in entries if entry.get("type") == "file"}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidTeacher(f"What the hub lists for {repository} cannot be read.", "Try again later.") from error


def _one(
    reference: WebReference, entry: dict[str, Any], path: Path, settings: Settings, check: Check, room: Room
) -> SourceFile:
    info = _download(settings, reference, path, check, room)
    lfs = entry.get("lfs") if isinstance(entry.get("lfs"), dict) else {}
    promised = (lfs or {}).get("oid")
    if promised and promised != info.sha256:
        details = {"sha256": info.sha256, "expected_sha256": str(promised)[:80]}
        raise InvalidTeacher(
            f"The hub served other bytes of {reference.filename} than it lists.", "Try again.", details
        )
    return SourceFile(reference.filename, "", info.size_bytes, info.sha256)


def _download(settings: Settings, reference: WebReference, path: Path, check: Check, room: Room = ENDLESS) -> Any:
    try:
        return Download(settings, reference, path, check, room).run()
    except InvalidDataset as error:  # the same refusals, of a teacher
        raise InvalidTeacher(error.message, error.remedy, error.details) from error


def _check_size(wanted: int, most: int) -> None:
    if wanted > most:
        remedy = "Use a smaller model, or have the operator raise the limit."
        raise InvalidTeacher(f"The checkpoint has {wanted:,} bytes, and {most:,} may be fetched.", remedy)
