"""Which file of a dataset plays which role. Torch-free."""

from __future__ import annotations

from pathlib import Path

from distill.errors import InvalidDataset
from distill.types import DatasetInput

ROLES = frozenset({"all", "train", "test"})


def paths_of(dataset: DatasetInput) -> dict[str, Path]:
    """Role -> existing path: `all`, or `train` with or without `test`. Raises `InvalidDataset`."""
    roles = set(dataset.files)
    if not roles <= ROLES or not (roles == {"all"} or ("train" in roles and "all" not in roles)):
        raise InvalidDataset(
            f"Dataset {dataset.name!r} has files for {sorted(roles) or 'nothing'}.",
            "Give one file as `all`, or one as `train` and maybe one as `test`.",
            {"roles": sorted(roles)},
        )
    paths = {role: Path(path) for role, path in dataset.files.items()}
    for role, path in paths.items():
        if not path.exists():
            raise InvalidDataset(f"The {role} file of dataset {dataset.name!r} is not there.", "Upload it again.")
    return paths
