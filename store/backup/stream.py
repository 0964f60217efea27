"""A backup as one tar stream, for where a folder is hard to share: `docker compose exec -T api retort backup - > f`."""

from __future__ import annotations

import re
import shutil
import tarfile
from pathlib import Path
from typing import IO

from store.backup.manifest import FILE, KEY, OBJECTS, TABLES, BackupError

_NAME = re.compile(f"{re.escape(FILE)}|{TABLES.pattern}|{OBJECTS}/{KEY}")
_NOT_OURS = "This is no backup, or a damaged one"


def pack(folder: Path, stream: IO[bytes]) -> None:
    """Only what belongs to a backup, the manifest last. Nothing is written behind an exception."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    archive = tarfile.open(fileobj=stream, mode="w|")  # noqa: SIM115 - its `with` writes on, to who may not read
    for name in sorted(filter(_NAME.fullmatch, names), key=lambda name: name == FILE):
        archive.add(folder / name, name)
    archive.close()


def unpack(stream: IO[bytes], folder: Path) -> None:
    """Regular files with a backup's names, nothing else. Raises `BackupError`."""
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                _extract(archive, member, folder)
    except (tarfile.TarError, EOFError) as error:
        raise BackupError(f"{_NOT_OURS} ({error}).", "Send a whole file that `retort backup -` wrote.") from error


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    source = archive.extractfile(member) if member.isreg() else None
    if source is None or not _NAME.fullmatch(member.name):
        raise BackupError(f"{_NOT_OURS} (it has {member.name!r}).", "Send a file that `retort backup -` wrote.")
    path = folder / member.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
