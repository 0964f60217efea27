"""A finished job's networks, loaded to be asked: the student and, once somebody wants them, its teachers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill import tasks
from distill.errors import UserError
from distill.student import load_student
from distill.tasks.prediction import Answer, Predicting, Writing

STUDENT = "student"
Tell = Callable[[int, str, str], None]
"""Takes a sample's position, the network's name and the next part of the text that it writes."""


class NotPredictable(UserError):
    """A task whose students are not asked here."""

    code = "not_predictable"


@dataclass(frozen=True)
class TeacherFile:
    """`told`: the teacher's column of the run's report; `weights`: its file; `label`: what it is called among several,
    empty where it is the only one."""

    told: Mapping[str, Any]
    weights: Path
    label: str = ""

    @property
    def unable(self) -> str:
        """Why it has no answers of the student's kind; empty where it has."""
        reason = self.told.get("other_classes", "")
        return f"it does not know the dataset's classes: {reason}" if reason else ""


@dataclass
class Predictor:
    """`task`: its name; `teachers`: those that can be asked, with their labels."""

    task: str
    how: Predicting
    student: Any
    scratch: Path
    teachers: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, task: str, student: Path, scratch: Path) -> Predictor:
        """Raises `InvalidTeacher` for a file that no run wrote, `NotPredictable`."""
        return cls(task, predicting(task), load_student(student), scratch)

    def add(self, name: str, teacher: TeacherFile) -> None:
        """Load a teacher, to be asked by this name. Raises `InvalidTeacher`."""
        folder = self.scratch / name
        folder.mkdir(exist_ok=True)
        self.teachers[name] = self.how.teacher(self.student, teacher.weights, teacher.told, folder)

    def answers(self, samples: Sequence[Any], names: Sequence[str], writing: Writing, tell: Tell) -> Iterator[Said]:
        """Of every network named, `STUDENT` or a teacher's, its answers to all samples. Raises what
        `Predicting.answer` raises, with the sample's position in `details`."""
        for name in names:
            network = self.student if name == STUDENT else self.teachers[name]
            began = time.perf_counter()
            found = [self._answer(network, name, i, sample, writing, tell) for i, sample in enumerate(samples)]
            yield Said(name, found, 1e3 * (time.perf_counter() - began))

    def _answer(self, network: Any, name: str, i: int, sample: Any, writing: Writing, tell: Tell) -> Answer:
        try:
            return self.how.answer(network, sample, writing, lambda part: tell(i, name, part))
        except UserError as error:
            error.details["input"] = i
            raise


@dataclass(frozen=True, slots=True)
class Said:
    """A network's answers, in the order of the samples, and the milliseconds that all of them took."""

    network: str
    answers: list[Answer]
    milliseconds: float


def predicting(task: str) -> Predicting:
    """How the task's networks are asked. Raises `UnknownName`, `NotPredictable`."""
    if not tasks.has(task, "predicting"):
        raise NotPredictable(
            f"Students of the task {task} are not asked here.", "Download the student and load it in Python."
        )
    found: Predicting = tasks.part(task, "predicting").ENTRY
    return found
