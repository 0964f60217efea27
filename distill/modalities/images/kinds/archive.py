"""A zip, tar or tar.gz file of images, in class folders (ImageFolder) or with a table of their classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from distill.data.files import paths_of
from distill.data.limits import Limits
from distill.modalities.images.kinds._base import Opened, from_layouts
from distill.modalities.images.kinds._listed import listed
from distill.modalities.images.kinds._members import members_of
from distill.modalities.images.sources import Source
from distill.modalities.images.tree import Layout, arrange
from distill.types import DatasetInput


def open_archive(dataset: DatasetInput, limits: Limits, scratch: Path | None) -> Opened:
    """Open without extracting; the file's first bytes tell its format, not its name. A table that names images and
    classes counts before class folders."""
    layouts: dict[str, tuple[Layout, Callable[[list[int]], Source]]] = {}
    for role, path in sorted(paths_of(dataset).items(), reverse=True):  # train before test
        members = members_of(path, limits, scratch)
        classes = layouts["train"][0].classes if role == "test" else None
        layout = listed(members, limits, role != "all", classes) or arrange(members.files, members.folders, limits)
        layouts[role] = (layout, members.source)
    return from_layouts(layouts)


ENTRY = open_archive
