"""A local folder of images in class folders (ImageFolder)."""

from __future__ import annotations

from pathlib import Path

from distill.data.files import paths_of
from distill.data.limits import Limits
from distill.data.split_names import UNLABELLED
from distill.modalities.images.archives.members import FolderMembers
from distill.modalities.images.kind import Opened, from_layouts
from distill.modalities.images.labelling import ONE_CLASS, Labelling
from distill.modalities.images.tree import arrange, flat
from distill.types import DatasetInput


def open_folder(dataset: DatasetInput, limits: Limits, _: Path | None, __: Labelling = ONE_CLASS) -> Opened:
    """Read in place."""
    layouts = {}
    for role, root in paths_of(dataset, unlabelled=True).items():
        members = FolderMembers(root, limits)
        unlabelled = role == UNLABELLED
        layout = flat(members.files) if unlabelled else arrange(members.files, members.folders, limits)
        layouts[role] = (layout, members.source)
    return from_layouts(layouts)


ENTRY = open_folder
