"""A zip, tar or tar.gz file of images in class folders (ImageFolder)."""

from __future__ import annotations

from pathlib import Path

from distill.data.kinds._base import Opened, from_layouts, paths_of
from distill.data.kinds._tar import TarMembers
from distill.data.kinds._zip import ZipMembers
from distill.data.limits import Limits
from distill.data.tree import arrange
from distill.types import DatasetInput


def open_archive(dataset: DatasetInput, limits: Limits, scratch: Path | None) -> Opened:
    """Open without extracting; the file's first bytes tell its format, not its name."""
    layouts = {}
    for role, path in paths_of(dataset).items():
        members = _members(path, limits, scratch)
        layouts[role] = (arrange(members.files, members.folders, limits), members.source)
    return from_layouts(layouts)


def _members(path: Path, limits: Limits, scratch: Path | None) -> ZipMembers | TarMembers:
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    return ZipMembers(path, limits) if is_zip else TarMembers(path, limits, scratch)


ENTRY = open_archive
