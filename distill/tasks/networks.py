"""What workers are asked about networks: which there are, whether a teacher's files hold one, what one costs.

A task tells it in its folder's module `networks`, which may import torch:

    catalogue() -> list[dict]                           {name, library, family, ...} of every network it can build
    examine(architecture: Architecture, sent: Sent) -> dict     the report on a teacher; raises `UserError`
    measure(question: dict) -> dict                     an answer to `distill.tasks.forecast.Forecast.questions`
    build(question: dict) -> (module, example)          optional: the network of such a question, and an input to time
    layers(question: dict) -> int                       optional: of such a network, how many can be distilled
    rehearse(question: dict) -> list[RunWarning]        optional: the run's warnings; raises its refusals
    answers(report: dict) -> bool                       optional: whether the network examined answers this task
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.errors import UnknownName, UserError
from distill.models.sizes import FORWARD_ERRORS
from distill.tasks import accepting, names, of_report, part
from distill.tasks.counting import count
from distill.types import Architecture, TeacherPreprocessing
from distill.warned import RunWarning

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """A teacher's files. `path`: its safetensors file, or of a model folder what was sent (a zip, or a folder of
    files). `scratch`: an empty folder for what is unpacked; `packed`: the zip that a model folder is written to.
    `preprocessing`: what was told at registration of how it sees pictures."""

    path: Path
    scratch: Path
    packed: Path
    preprocessing: TeacherPreprocessing | None = None


Examine = Callable[[Architecture, Sent], Report]
Rehearse = Callable[[dict[str, Any]], list[RunWarning]]


def catalogue() -> list[dict[str, Any]]:
    """Every network that some task can build, once each."""
    entries = [entry for name in names() for entry in part(name, "networks").catalogue()]
    return list({entry["name"]: entry for entry in entries}.values())


def examine(architecture: Architecture, sent: Sent) -> Report:
    """The report on a teacher, with the tasks that it answers as `tasks`. Every task that has networks of this name may
    look at the files; where all refuse them, the first one's error is raised. Raises `UnknownName`, `UserError`."""
    claiming = accepting(architecture.name)
    if not claiming:
        raise UnknownName("architecture", architecture.name, [entry["name"] for entry in catalogue()])
    seen: dict[Examine, Report | UserError] = {}
    found: dict[str, Report] = {}
    for name in claiming:
        looking = part(name, "networks")
        if looking.examine not in seen:
            seen[looking.examine] = _looked(looking.examine, architecture, sent)
        report = seen[looking.examine]
        if not isinstance(report, UserError) and getattr(looking, "answers", lambda _: True)(report):
            found[name] = report
    if not found:
        raise next(error for error in seen.values() if isinstance(error, UserError))
    return next(iter(found.values())) | {"tasks": list(found)}


def _looked(
    examine: Callable[[Architecture, Sent], Report], architecture: Architecture, sent: Sent
) -> Report | UserError:
    try:
        return examine(architecture, sent)
    except UserError as error:
        return error


def measure(question: dict[str, Any]) -> dict[str, Any]:
    """The answer to a question of `Forecast.questions` or `Forecast.rehearsal`, or to one about all that a budget may
    choose among (`distill.tasks.counting`); older releases' named no task, or its `older_kind`. Raises `UserError` for
    a network that cannot be built, and for a job that a run would refuse."""
    asked = question.get("task", "")
    looking = part(asked if asked in names() else of_report({"kind": asked}), "networks")
    if "rehearsal" in question:
        rehearse: Rehearse | None = getattr(looking, "rehearse", None)
        found = [] if rehearse is None else rehearse(question["rehearsal"])
        return {"warnings": [each.to_dict() for each in found]}
    question = {k: v for k, v in question.items() if k != "task"}
    if "chains" in question:
        return count(question, looking.measure, getattr(looking, "build", None))
    answer: dict[str, Any] = looking.measure(question)
    return answer | _layers(looking, question)


def _layers(looking: Any, question: dict[str, Any]) -> dict[str, int]:
    """How many layers the network has, where its shapes alone tell."""
    counted: Callable[[dict[str, Any]], int] | None = getattr(looking, "layers", None)
    if counted is None:
        return {}
    try:
        return {"layers": counted(question)}
    except (NotImplementedError, UserError, *FORWARD_ERRORS):
        return {}
