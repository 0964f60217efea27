"""A network's column of the report."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from distill import processes
from distill.curve import reading
from distill.evaluate import price
from distill.running.companions import companions
from distill.running.session import Session
from distill.running.teaching import Teaching
from distill.tasks.base import Task
from distill.tasks.network import Network
from distill.tasks.teacher_set import weights_of
from distill.types import ComparisonInput, Layer, QCurve

Report = dict[str, Any]


@dataclass(frozen=True)
class Columns:
    """What the report says of the networks. `teacher`: of several the set as one, which `teachers` has one by one;
    `verdict`: of student and comparison; `against_teacher`: the student's
    primary metric less the teacher's, None where they have none in common; `notes`: what the figures are of."""

    student: Report
    teacher: Report | None
    teachers: list[Report]
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
    return about | figures | processes.agree(lambda: _price(task, network, figures))  # while others wait


def _price(task: Task, network: Network, figures: Report) -> Report:
    size = network.bytes if network.bytes is not None else _saved_bytes(task, network, figures)
    return price(network.module, network.one(task.device), size)


def teacher_columns(session: Session) -> tuple[Any | None, Report | None, list[Report]]:
    """The teacher's answers, its column, and a column for each teacher. One that does not know the dataset's classes
    has no answers. Of a set the answers are those of its mean logits."""
    task = session.task
    if task.teacher is None:
        return None, None, []
    if len(session.teachings) == 1:
        found, own = answered(session, session.teachings[0])
        return found, own, [own]
    each = [answered(session, teaching)[1] for teaching in session.teachings]
    if task.teacher_classes.same:
        found, own = assess(task, task.teacher, None)
        return found, own, each
    return None, set_column(session), each


def answered(session: Session, teaching: Teaching) -> tuple[Any | None, Report]:
    """One teacher's answers and its column."""
    if not teaching.match.same:
        return None, features_column(session, teaching)
    found, own = assess(session.task, teaching.network, None)
    return found, own | about(session, teaching)


def features_column(session: Session, teaching: Teaching) -> Report:
    """The column of a teacher that has no answers: what its deepest chosen feature is worth."""
    task, network = session.task, teaching.network
    known: Report = {"other_classes": teaching.match.reason}
    found = column(task, network, known | task.worth(network, deepest_of(teaching)))
    return found | about(session, teaching)


def set_column(session: Session) -> Report:
    """The column of a set of teachers that has no answers of its own."""
    return column(session.task, session.teacher, {"other_classes": session.task.teacher_classes.reason})


def about(session: Session, teaching: Teaching) -> Report:
    """What a teacher's column says of its part in the run: `label`, its name among several; `weight`: its share;
    `selection` and `q_curve`, null where no layers were chosen."""
    curve, pairs = teaching.curve, teaching.pairs
    return {
        "label": teaching.network.label,
        "weight": weights_of(session.config.teacher_weights, teaching.of)[teaching.position],
        "selection": pairs.to_dict() if pairs else None,
        "q_curve": curve_column(curve) if curve else None,
    }


def curve_column(curve: QCurve) -> Report:
    return {"digest": curve.digest, "reused": curve.reused, "reading": reading(curve)}


def deepest_student(session: Session) -> Layer:
    """The student's deepest distilled layer; of a recipe that chooses none, the network's own."""
    return session.pairs.student[-1] if session.pairs else session.task.layers(session.task.student)[-1]


def deepest_of(teaching: Teaching) -> Layer:
    """The same of a teacher."""
    return teaching.pairs.teacher[-1] if teaching.pairs else teaching.layers[-1]


def companion_columns(session: Session, taught: Any | None) -> dict[str, Report]:
    """A column for each network that the recipe delivers beside the student."""
    return {name: assess(session.task, network, taught)[1] for name, network in companions(session).items()}


def _saved_bytes(task: Task, network: Network, figures: Report) -> int:
    """Size of the weights' file as it will be packaged, its header included."""
    return task.delivery.bytes(task.context(network, {"recipe": network.recipe, "student": figures}))


def labelled(found: Report, given: ComparisonInput) -> Report:
    """A comparison's column, with what it is called."""
    return found | {"label": given.label, "job_id": given.job_id}
