"""A job's request that holds together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from api.resources.datasets.service import task_of
from api.resources.jobs import fitting
from distill.tasks.forecast import Parts
from distill.types import Architecture, DistillConfig
from store.tables import Dataset, Teacher


@dataclass(frozen=True)
class Plan:
    """A request that holds together, with its names resolved. Where the recipe is to be chosen: `candidates`, and why
    others are none."""

    student: Architecture
    teachers: tuple[Teacher, ...]
    dataset: Dataset
    candidates: tuple[str, ...] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)

    @property
    def task(self) -> str:
        return task_of(self.dataset)

    @property
    def input_bytes(self) -> int:
        """Of teachers and dataset."""
        return sum(teacher.size_bytes for teacher in self.teachers) + self.dataset.size_bytes

    def parts(self, config: DistillConfig) -> Parts:
        """As a task's forecast sees them."""
        return fitting.parts(self.teachers, self.student, self.dataset, config)
