"""Tasks by name: one folder each, found by its name. Listing and `spec` import no torch; `get` does.

`RETORT_EXTENSIONS` may name folders (separated as in PATH) whose subfolder `tasks` holds further tasks of the same
shape: whoever runs the service trusts their code as the service's own.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from distill.errors import UnknownName
from distill.tasks.spec import Metric, TaskSpec

if TYPE_CHECKING:
    from distill.tasks._base import Task

__all__ = ["Metric", "TaskSpec", "accepting", "get", "names", "spec"]

EXTENSIONS = "RETORT_EXTENSIONS"
__path__ += [str(Path(top) / "tasks") for top in os.environ.get(EXTENSIONS, "").split(os.pathsep) if top]


def names() -> tuple[str, ...]:
    """All task names, sorted. Imports nothing."""
    found = {p.parent.name for folder in __path__ for p in Path(folder).glob("*/__init__.py")}
    return tuple(sorted(name for name in found if not name.startswith("_")))


def spec(name: str) -> TaskSpec:
    """The task's torch-free description. Raises `UnknownName`."""
    if name not in names():
        raise UnknownName("task", name, names())
    found: TaskSpec = import_module(f"{__name__}.{name}").SPEC
    return found


def accepting(architecture: str) -> tuple[str, ...]:
    """The tasks that networks of this name answer: those with the longest prefix, so that a task may claim a family
    (`torchvision:fcn_`) out of a library that others claim whole."""
    fits = {name: spec(name).fit(architecture) for name in names()}
    best = max(fits.values(), default=0)
    return tuple(name for name, fit in fits.items() if fit == best and best > 0)


def get(name: str) -> type[Task]:
    """What runs the task: the `ENTRY` of its module `task`. Imports torch. Raises `UnknownName`."""
    spec(name)
    entry: type[Task] = import_module(f"{__name__}.{name}.task").ENTRY
    return entry
