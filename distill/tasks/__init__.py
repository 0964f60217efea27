"""Tasks by name: one folder each, found by its name. Only `get` imports torch.

A folder holds
* `__init__.py`: `SPEC`, what API, client and dashboard read (`distill.tasks.spec`);
* `task.py`: `ENTRY`, what runs (`distill.tasks.base`);
* `inspect.py`: which files are its datasets, and what they hold (`distill.tasks.inspection`);
* `networks.py`: how workers check its teachers and count what its networks cost (`distill.tasks.networks`);
* `forecast.py`, optional: what fits together in a job, and how large it is (`distill.tasks.forecast`);
* `predicting.py`, optional: what its networks say of single samples (`distill.tasks.prediction`).

`RETORT_EXTENSIONS` may name folders (separated as in PATH) whose subfolder `tasks` holds further tasks of the same
shape: whoever runs the service trusts their code as the service's own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.errors import UnknownName
from distill.recorded import recorded_task
from distill.tasks.spec import Container, Metric, TaskSpec

if TYPE_CHECKING:
    from distill.tasks.base import Task

__all__ = [
    "Metric",
    "TaskSpec",
    "accepting",
    "container",
    "get",
    "has",
    "learnt_elsewhere",
    "names",
    "of_report",
    "of_result",
    "part",
    "spec",
    "specs",
]

EXTENSIONS = "RETORT_EXTENSIONS"


def extensions() -> tuple[str, ...]:
    """The folders that `RETORT_EXTENSIONS` names: a process that may read little must read them."""
    return tuple(top for top in os.environ.get(EXTENSIONS, "").split(os.pathsep) if top)


__path__ += [str(Path(top) / "tasks") for top in extensions()]


def names() -> tuple[str, ...]:
    """All task names, sorted. Imports nothing."""
    return _within(tuple(__path__))


@cache
def _within(folders: tuple[str, ...]) -> tuple[str, ...]:
    """Read once: one list of architectures asks for the names of the tasks forty thousand times."""
    found = {p.parent.name for folder in folders for p in Path(folder).glob("*/__init__.py")}
    return tuple(sorted(name for name in found if not name.startswith("_")))


def spec(name: str) -> TaskSpec:
    """The task's torch-free description. Raises `UnknownName`."""
    if name not in names():
        raise UnknownName("task", name, names())
    found: TaskSpec = import_module(f"{__name__}.{name}").SPEC
    return found


def specs() -> tuple[TaskSpec, ...]:
    """Of every task, by name."""
    return tuple(spec(name) for name in names())


def accepting(architecture: str) -> tuple[str, ...]:
    """The tasks that networks of this name answer: those with the longest prefix, so that a task may claim a family
    (`torchvision:fcn_`) out of a library that others claim whole."""
    fits = {each.name: each.fit(architecture) for each in specs()}
    best = max(fits.values(), default=0)
    return tuple(name for name, fit in fits.items() if fit == best and best > 0)


def prefixes(of: TaskSpec) -> str:
    """With what the names of its networks begin, for people: `retort: (but not retort:fcos or retort:fpn)` where longer
    prefixes are another task's."""
    others = [prefix for each in specs() if each.name != of.name for prefix in each.architectures]
    said = []
    for prefix in of.architectures:
        taken = sorted({o for o in others if o.startswith(prefix) and o not in of.architectures})
        said.append(f"{prefix} (but not {' or '.join(taken)})" if taken else prefix)
    return " or ".join(said)


def container(architecture: str) -> Container:
    """How a network of this name is kept; one file of weights where no task has it."""
    return next((spec(name).container for name in accepting(architecture)), "weights")


def of_report(report: Mapping[str, Any] | None) -> str:
    """The task of an inspection's report on a dataset; empty where nothing says so. Older releases wrote no `task` and
    told them apart by `kind`."""
    if not report:
        return ""
    if report.get("task") in names():
        return str(report["task"])
    kind = report.get("kind", "")
    return next((each.name for each in specs() if each.older_kind == kind and "task" not in report), "")


def learnt_elsewhere(metadata: Mapping[str, str], name: str) -> str:
    """The title of the task that a network's header says it was trained for, where that is another one than `name`;
    empty where it is not, or the header says nothing."""
    told = recorded_task(metadata)
    return spec(told).title if told in names() and told != name else ""


def of_result(result: Mapping[str, Any]) -> str:
    """The task of a job's result, whose `dataset` has the `kind` of older releases."""
    told = result.get("task")
    return of_report(result.get("dataset")) if told is None else of_report({"task": told})


def part(name: str, module: str) -> Any:
    """A module of the task's folder. Raises `UnknownName`, and `ModuleNotFoundError` where the folder has none."""
    spec(name)
    return import_module(f"{__name__}.{name}.{module}")


def has(name: str, module: str) -> bool:
    """Whether the task's folder has a module of this name. Imports none of it. Raises `UnknownName`."""
    spec(name)
    return find_spec(f"{__name__}.{name}.{module}") is not None


def get(name: str) -> type[Task]:
    """What runs the task: the `ENTRY` of its module `task`. Imports torch. Raises `UnknownName`."""
    entry: type[Task] = part(name, "task").ENTRY
    return entry
