"""Which file of a dataset plays which role. Torch-free."""

from __future__ import annotations

from pathlib import Path

from distill.data.split_names import UNLABELLED
from distill.errors import InvalidDataset
from distill.types import DatasetInput

ROLES = frozenset({"all", "train", "test"})


def check_roles(dataset: DatasetInput, *, unlabelled: bool = False) -> None:
    """Raise `InvalidDataset` unless the files are `all`, or `train` with or without `test`; where the reader takes
    samples without labels (`unlabelled`), beside these or alone also `unlabelled`."""
    roles = set(dataset.files)
    labelled = roles - {UNLABELLED} if unlabelled else roles
    alone = unlabelled and roles == {UNLABELLED}
    if not alone and not (labelled == {"all"} or ("train" in labelled and labelled <= ROLES - {"all"})):
        more = " One as `unlabelled` may come with them, or alone." if unlabelled else ""
        raise InvalidDataset(
            f"Dataset {dataset.name!r} has files for {sorted(roles) or 'nothing'}.",
            f"Give one file as `all`, or one as `train` and maybe one as `test`.{more}",
            {"roles": sorted(roles)},
        )


def paths_of(dataset: DatasetInput, *, unlabelled: bool = False) -> dict[str, Path]:
    """Role -> existing path, of the roles that `check_roles` allows. Raises `InvalidDataset`."""
    check_roles(dataset, unlabelled=unlabelled)
    paths = {role: Path(path) for role, path in dataset.files.items()}
    for role, path in paths.items():
        if not path.exists():
            raise InvalidDataset(f"The {role} file of dataset {dataset.name!r} is not there.", "Upload it again.")
    return paths
