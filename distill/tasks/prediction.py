"""What a task says of single samples: how finished networks are asked, outside of any run.

A task tells it in its folder's optional module `predicting`, whose `ENTRY` is a `Predicting`. A task without one has
students that are downloaded and not tried.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.errors import UserError

TOP = 10
"""Classes whose probability is told."""

Answer = dict[str, Any]
"""JSON-serialisable; `kind` says what else is in it: class, features, labels, boxes, mask, text."""

Say = Callable[[str], None]
"""Takes the next part of a text that is being written."""


class InvalidSample(UserError):
    """A sample that the networks cannot be asked about."""

    code = "invalid_sample"


@dataclass(frozen=True, slots=True)
class Writing:
    """How a text is written. `max_tokens`: at most so many tokens; `temperature`: logits are divided by it before a
    token is drawn, 0: the most probable token is taken; `seed`: of the draws."""

    max_tokens: int = 64
    temperature: float = 0.0
    seed: int = 0


def silent(part: str) -> None:
    """A `Say` that tells nobody."""


class Predicting(ABC):
    """How a task's networks answer single samples. `network`: what `distill.student.load_student` gives, or `teacher`
    here. A sample is the path of a picture, or a text as the task's form has it."""

    @abstractmethod
    def teacher(self, student: Any, weights: Path, told: Mapping[str, Any], scratch: Path) -> Any:
        """A teacher of the student's run, to be asked as the student is. `told`: its column of the run's report, which
        says how it sees samples. Raises `InvalidTeacher`."""

    @abstractmethod
    def answer(self, network: Any, sample: Any, writing: Writing, say: Say = silent) -> Answer:
        """What the network says of one sample; a text that is written is told in parts to `say` too. Raises
        `InvalidSample`, and `InvalidDataset` for a file that is no picture."""

    @abstractmethod
    def agreement(self, student: Answer, teacher: Answer) -> float:
        """How far two answers to one sample agree, in [0, 1]; as the report's agreement counts it where that is of
        single samples."""


def ranked(names: Sequence[str], probabilities: Sequence[float], most: int) -> list[dict[str, Any]]:
    """The `most` probable classes, the most probable first."""
    order = sorted(range(len(names)), key=probabilities.__getitem__, reverse=True)[:most]
    return [{"label": names[i], "index": i, "probability": probabilities[i]} for i in order]


def of_class(names: Sequence[str], probabilities: Sequence[float]) -> Answer:
    """The most probable class, and `TOP` classes with their probabilities."""
    top = ranked(names, probabilities, TOP)
    return {"kind": "class", **top[0], "top": top}


def same_class(student: Answer, teacher: Answer) -> float:
    """1 where both say the same class, else 0; the cosine of two networks' features where both have one length, else
    0."""
    if student["kind"] == teacher["kind"] == "features":
        return _cosine(student["features"], teacher["features"])
    return float(student.get("label") == teacher.get("label"))


def _cosine(first: Sequence[float], second: Sequence[float]) -> float:
    if len(first) != len(second):
        return 0.0
    product = sum(a * b for a, b in zip(first, second, strict=True))
    sizes = math.hypot(*first) * math.hypot(*second)
    return max(0.0, product / sizes) if sizes else 0.0
