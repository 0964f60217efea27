"""What a backup holds, so that it can be checked without a database."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from distill.errors import RetortError
from store.objects import ObjectInfo

FILE = "manifest.json"
OBJECTS = "objects"
FORMAT = 1
#: What `store.objects.folder` takes as a key, too: no path can lead out of the folder.
KEY = r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*"
TABLES = re.compile(r"tables-[0-9a-f]{16}\.jsonl\.gz")
_SHA256 = r"^[0-9a-f]{64}$"


class BackupError(RetortError):
    """A backup cannot be made, is damaged, or does not fit where it is to go."""

    code = "backup_failed"


class StoredObject(BaseModel):
    """One object: `key` names its file under objects/."""

    model_config = ConfigDict(extra="forbid", strict=True)
    key: str = Field(pattern=f"^{KEY}$", max_length=1000)
    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern=_SHA256)

    def info(self) -> ObjectInfo:
        return ObjectInfo(self.key, self.size_bytes, self.sha256)


class Manifest(BaseModel):
    """`revision`: Alembic's, of the rows. `rows`: how many, by table."""

    model_config = ConfigDict(extra="forbid", strict=True)
    format: int
    created_at: str
    revision: str = Field(pattern=r"^\w+$")
    rows: dict[str, int]
    tables_file: str = Field(pattern=f"^{TABLES.pattern}$")
    tables_sha256: str = Field(pattern=_SHA256)
    objects: list[StoredObject]

    @property
    def size_bytes(self) -> int:
        """Of all objects together."""
        return sum(item.size_bytes for item in self.objects)


def read_manifest(folder: Path) -> Manifest:
    """Raises `BackupError`."""
    try:
        found = Manifest.model_validate_json((folder / FILE).read_bytes())
    except FileNotFoundError:
        raise BackupError(
            f"There is no {FILE} in {folder}.", "Name the folder of a backup that was finished: it is written last."
        ) from None
    except (OSError, ValidationError) as error:
        raise BackupError(f"{folder / FILE} cannot be read: {error}", "Take another backup.") from error
    if found.format != FORMAT:
        raise BackupError(f"{folder} has format {found.format}, this Retort reads {FORMAT}.", "Use a newer Retort.")
    return found


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """In one step: until then the folder is the backup that it was before."""
    partial = folder / f".{FILE}.new"
    partial.write_text(manifest.model_dump_json(indent=1) + "\n")
    partial.replace(folder / FILE)
