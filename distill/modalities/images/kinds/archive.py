"""A zip, tar or tar.gz file of images, in class folders (ImageFolder) or with a table of their classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from distill.data.files import paths_of
from distill.data.limits import Limits
from distill.data.split_names import UNLABELLED
from distill.errors import InvalidDataset
from distill.modalities.images.archives.members import Members, members_of
from distill.modalities.images.kind import Opened, from_layouts
from distill.modalities.images.kinds._listed import listed
from distill.modalities.images.labelling import ONE_CLASS, Labelling
from distill.modalities.images.paths import File, is_junk
from distill.modalities.images.sources import Source
from distill.modalities.images.tree import Layout, arrange, flat
from distill.types import DatasetInput


def open_archive(
    dataset: DatasetInput, limits: Limits, scratch: Path | None, labelling: Labelling = ONE_CLASS
) -> Opened:
    """Open without extracting; the file's first bytes tell its format, not its name. A table that names images and
    classes counts before class folders."""
    layouts: dict[str, tuple[Layout, Callable[[list[int]], Source]]] = {}
    for role, path in sorted(paths_of(dataset, unlabelled=True).items(), key=lambda item: item[0] == "test"):
        members = members_of(path, limits, scratch)
        classes = layouts["train"][0].classes if role == "test" else None
        layouts[role] = (_layout(members, limits, role, labelling, classes), members.source)
    return from_layouts(layouts)


def _layout(
    members: Members, limits: Limits, role: str, labelling: Labelling, classes: tuple[str, ...] | None
) -> Layout:
    _check_tars(members.files)
    if role == UNLABELLED:
        return flat(members.files)
    found = listed(members, limits, role, classes, labelling)
    if found.layout is not None:
        return found.layout
    if not labelling.in_folders:
        raise InvalidDataset(
            "The archive has no table that names its images and their labels.",
            " ".join(
                [*found.notes, "Add one with the columns file_name and labels, or one column of 0 and 1 a class."]
            ),
            {},
        )
    try:
        layout = arrange(members.files, members.folders, limits)
    except InvalidDataset as error:
        notes = found.notes if any(file.image for file in members.files) else []
        remedy = " ".join([*notes, error.remedy])  # a table that could not be used is the likelier reason
        raise InvalidDataset(error.message, remedy, error.details) from error
    return replace(layout, notes=(*layout.notes, *found.notes))


def _check_tars(files: Iterable[File]) -> None:
    """Raise `InvalidDataset` where the images lie in tars within the archive, as a folder of shards is packed."""
    plain = [file for file in files if not is_junk(file.parts)]
    tars = ["/".join(file.parts) for file in plain if file.parts[-1].lower().endswith(".tar")]
    if tars and not any(file.image for file in plain):
        raise InvalidDataset(
            f"The archive holds {len(tars)} tars (the first: {tars[0]!r}), and no image beside them.",
            "Join shards into one tar (`cat`) and send that; or lay them where the service reads shards, and register "
            "their names (`mode: stream`, `retort datasets add --shards`).",
            {"tars": tars[:20]},
        )


ENTRY = open_archive
