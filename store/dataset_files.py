"""Names of a dataset's files in `Dataset.files`: a role (`all`, `train`, `test`, `unlabelled`), or `train/0000`,
`train/0001`, ... where the role came as several files, in that order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST = 1024
"""Files of one role."""


def numbered(role: str, number: int) -> str:
    """The name of file `number`, from 0 on, of a role of several."""
    return f"{role}/{number:04}"


def is_numbered(name: str) -> bool:
    """Whether the file is one of several that came as a role."""
    return "/" in name


def by_role(files: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Role -> its files in their order, of the roles that came as several files."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for name in sorted(filter(is_numbered, files)):
        found.setdefault(name.partition("/")[0], []).append(files[name])
    return found
