"""A network's column of the report."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from distill.evaluate import price
from distill.running.companions import companions
from distill.running.session import Session
from distill.tasks.base import Task
from distill.tasks.network import Network
from distill.types import ComparisonInput, Layer

Report = dict[str, Any]


@dataclass(frozen=True)
class Columns:
    """What the report says of the networks. `verdict`: of student and comparison; `against_teacher`: the student's
    primary metric less the teacher's, None where they have none in common; `notes`: what the figures are of."""

    student: Report
    teacher: Report | None
    comparison: Report | None
    companions: dict[str, Report]
    verdict: Report
    against_teacher: Report | None
    notes: list[str]


def assess(task: Task, network: Network, teacher: Any | None) -> tuple[Any, Report]:
    """A network's answers on the test set, and its column of the report."""
    found = task.predict(network)
    return found, column(task, network, task.figures(network, found, teacher))


def column(task: Task, network: Network, figures: Report) -> Report:
    about: Report = {
        "architecture": network.architecture.model_dump(),
        "recipe": network.recipe,
        "preprocessing": asdict(network.preprocessing),
    }
    size = network.bytes if network.bytes is not None else _saved_bytes(task, network, figures)
    return about | figures | price(network.module, network.one(task.device), size)


def teacher_column(session: Session) -> tuple[Any | None, Report | None]:
    """The teacher's answers and its column. One that does not know the dataset's classes has no answers."""
    task = session.task
    if task.teacher is None:
        return None, None
    if task.teacher_classes.same:
        return assess(task, task.teacher, None)
    return None, features_column(session)


def features_column(session: Session) -> Report:
    """The column of a teacher that has no answers: what its deepest chosen feature is worth."""
    known: Report = {"other_classes": session.task.teacher_classes.reason}
    _, deepest = deepest_layers(session)
    return column(session.task, session.teacher, known | session.task.worth(session.teacher, deepest))


def deepest_layers(session: Session) -> tuple[Layer, Layer]:
    """The student's and the teacher's deepest distilled layers; of a recipe that chooses none, the networks' own."""
    if session.pairs is not None:
        return session.pairs.student[-1], session.pairs.teacher[-1]
    return session.task.layers(session.task.student)[-1], session.teacher_layers[-1]


def companion_columns(session: Session, taught: Any | None) -> dict[str, Report]:
    """A column for each network that the recipe delivers beside the student."""
    return {name: assess(session.task, network, taught)[1] for name, network in companions(session).items()}


def _saved_bytes(task: Task, network: Network, figures: Report) -> int:
    """Size of the weights' file as it will be packaged, its header included."""
    return task.delivery.bytes(task.context(network, {"recipe": network.recipe, "student": figures}))


def labelled(found: Report, given: ComparisonInput) -> Report:
    """A comparison's column, with what it is called."""
    return found | {"label": given.label, "job_id": given.job_id}
