"""A dataset's files as pairs of image and mask, before any has been looked at. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from distill.data.files import paths_of
from distill.data.limits import Limits
from distill.errors import InvalidDataset
from distill.modalities.images.archives.members import Members, content, members_of
from distill.modalities.images.sources import Source
from distill.tasks.segment_images.legend import Legend
from distill.tasks.segment_images.naming import READERS, read_legend
from distill.tasks.segment_images.pairing import Pairing, common_names, is_paired, pair
from distill.tasks.segment_images.parquet import has_masks, open_parquet
from distill.types import DatasetInput

FILES = frozenset({"archive", "folder"})


@dataclass(frozen=True, slots=True)
class Pairs:
    """Images and their masks, one to one."""

    images: Source
    masks: Source


@dataclass(frozen=True, slots=True)
class Opened:
    """`splits` has `train` and maybe `test`; `legend` None: no file names the classes. `unmasked`: images without a
    mask, by path."""

    splits: Mapping[str, Pairs]
    legend: Legend | None
    unmasked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def open_pairs(dataset: DatasetInput, limits: Limits, scratch: Path | None) -> Opened:
    """Open without extracting. Raises `InvalidDataset`."""
    if dataset.kind == "parquet":
        found, notes = open_parquet(paths_of(dataset), limits, scratch)
        return Opened({split: Pairs(*sources) for split, sources in found.items()}, None, notes=tuple(notes))
    if dataset.kind not in FILES:
        raise InvalidDataset(
            f"A dataset of kind {dataset.kind!r} holds no masks.", "Give an archive, a folder or a parquet file."
        )
    roles = {role: members_of(path, limits, scratch) for role, path in sorted(paths_of(dataset).items(), reverse=True)}
    pairings = {role: _pairing(members, role != "all") for role, members in roles.items()}
    splits: dict[str, Pairs] = {}
    for role, pairing in pairings.items():
        splits |= _splits(role, pairing, roles[role])
    legend, said = _legend(roles.get("all") or roles["train"])
    unmasked = tuple(path for pairing in pairings.values() for path in pairing.unmasked)
    return Opened(splits, legend, unmasked, (*said, *(note for pairing in pairings.values() for note in pairing.notes)))


def _pairing(members: Members, part: bool) -> Pairing:
    return pair(members.files, lambda file: content(members, file), part)


def recognises(dataset: DatasetInput, limits: Limits, scratch: Path | None) -> bool:
    """Whether the files pair images with masks. Raises `InvalidDataset` for files that cannot be opened."""
    paths = paths_of(dataset)
    if dataset.kind == "parquet":
        return all(map(has_masks, paths.values()))
    return dataset.kind in FILES and all(is_paired(members_of(p, limits, scratch).files) for p in paths.values())


def _splits(role: str, pairing: Pairing, members: Members) -> dict[str, Pairs]:
    return {
        split if role == "all" else role: Pairs(
            members.source([each.image.position for each in pairs]),
            members.source([each.mask.position for each in pairs]),
        )
        for split, pairs in pairing.splits.items()
    }


def _legend(members: Members) -> tuple[Legend | None, list[str]]:
    """The first file of classes, and which others were not used."""
    files = [file for file in common_names(members.files, list(READERS)) if file.position >= 0]
    if not files:
        return None, []
    first, *others = files
    legend = read_legend(first.parts[-1], content(members, first))
    unused = [f"Not used: {'/'.join(file.parts)}; {first.parts[-1]} names the classes." for file in others]
    return legend, [*legend.notes, *unused]
