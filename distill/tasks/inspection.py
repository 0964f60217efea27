"""Which task a dataset's files are of, and what they hold. Torch-free; only workers read files.

A task tells it in its folder's module `inspect`:

    recognise(dataset: DatasetInput) -> Likeness
    inspect(dataset: DatasetInput, room: Room) -> dict      the report, JSON-serialisable, without `task`
    named() -> list[dict]                                   optional: {name, summary} of data sets that need no upload
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from distill.data.split_names import UNLABELLED
from distill.errors import InvalidDataset
from distill.tasks import names, part, spec, specs
from distill.types import DatasetInput


class Likeness(IntEnum):
    """Whether files are a task's dataset, by their kind, names, columns and the first rows of tables. `NO`: they
    cannot be. `MAYBE`: its reader could take them for one. `BESIDE`: they are laid out as this task's, and as another's
    too, which counts where none is named. `SURE`: they are laid out as only this task's are."""

    NO = 0
    MAYBE = 1
    BESIDE = 2
    SURE = 3


OPTIONS = ("pixel_range", "box_format")
"""Fields of a `DatasetInput` that say how its files are read: not every task's files have all of them."""


@dataclass(frozen=True, slots=True)
class Room:
    """Where an inspection may write: `scratch`, a folder, for what is unpacked; `sheet`: the file that a contact sheet
    of the dataset is to be. None: in memory; no sheet."""

    scratch: Path | None = None
    sheet: Path | None = None


def task_of(dataset: DatasetInput) -> str:
    """The task that `dataset.task` names, or else the one that its files are most like. Raises `UnknownName`, and
    `InvalidDataset` for files of another task than the named one, or of several tasks or none where none is named."""
    name = _task_of(dataset)
    given = {option: getattr(dataset, option) for option in OPTIONS}
    for option in (option for option, value in given.items() if value and option not in spec(name).reading):
        having = [each.name for each in specs() if option in each.reading]
        raise InvalidDataset(
            f"{option} is for {_titles(having)}; the files of dataset {dataset.name!r} are of {_titles([name])}.",
            f"Register them without {option}.",
            {option: given[option]},
        )
    return name


def _task_of(dataset: DatasetInput) -> str:
    if dataset.task:
        spec(dataset.task)
    asked = [name for name in names() if spec(name).unlabelled or UNLABELLED not in dataset.files]
    like = {name: Likeness(part(name, "inspect").recognise(dataset)) for name in asked}
    best = max(like.values())
    found = [name for name, likeness in like.items() if likeness == best and best > Likeness.NO]
    if dataset.task:
        own = like.get(dataset.task, Likeness.NO)
        if own == Likeness.NO or (own < Likeness.BESIDE and best == Likeness.SURE):
            raise _of_another(dataset, found if best == Likeness.SURE else [])
        return dataset.task
    if len(found) != 1:
        raise _untold(dataset, found)
    return found[0]


def _of_another(dataset: DatasetInput, found: list[str]) -> InvalidDataset:
    wanted = spec(dataset.task)
    others = f"they are of {_titles(found)}" if found else "their layout is another"
    files = "; ".join(wanted.files)
    return InvalidDataset(
        f"The files of dataset {dataset.name!r} are not of the task {wanted.name} ({wanted.title}): {others}.",
        f"Leave `task` out, or send what it takes: {files}." if files else "Leave `task` out.",
        {"task": dataset.task, "found": found},
    )


def _untold(dataset: DatasetInput, found: list[str]) -> InvalidDataset:
    details = {"found": found}
    if not found:
        message = f"The files of dataset {dataset.name!r} are of no task."
        return InvalidDataset(message, "GET /catalogue/tasks says which files each task takes.", details)
    message = f"The files of dataset {dataset.name!r} may be of {_titles(found)}."
    return InvalidDataset(message, f"Say which as `task`: {', '.join(found)}.", details)


def _titles(found: list[str]) -> str:
    return " or ".join(spec(name).title for name in found)


def named_sets() -> list[dict[str, Any]]:
    """{name, summary, task} of every data set that needs no upload."""
    modules = {name: part(name, "inspect") for name in names()}
    return [
        entry | {"task": name}
        for name, module in modules.items()
        for entry in (module.named() if hasattr(module, "named") else ())
    ]


def inspect(dataset: DatasetInput, room: Room | None = None) -> dict[str, Any]:
    """What the files hold, by the rules of their task: its report, and its name as `task`. Raises as `task_of`, and
    `InvalidDataset`."""
    name = task_of(dataset)
    report: dict[str, Any] = part(name, "inspect").inspect(dataset, room or Room())
    return {"task": name} | report
