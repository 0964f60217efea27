"""One run from its first phase to its last: what each phase reads, and what it leaves for the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from distill import sharded, tasks
from distill.control import Control
from distill.disagreement import Apart
from distill.recipe_parts.base import Recipe
from distill.running.draw import draw_of
from distill.running.pairs import Pairs
from distill.running.teaching import Teaching, joined_pairs, teachings
from distill.tasks.base import Task
from distill.tasks.inspection import task_of
from distill.tasks.network import Network
from distill.train import carried
from distill.training import distributed
from distill.training.head import fits
from distill.training.loop import Outcome
from distill.types import DistillConfig, QCurve, RunSpec


@dataclass
class Session:
    """`task`: data and networks, opened. `carry`: what the checkpoint that the run continues from had to tell. Filled
    by the phases: `teachings` (one a teacher, with its curve and pairs), `recipe`, `outcome`, `resolved` (configuration
    and reasons), `metrics` (the data of its events, in order), `warnings` (likewise), `report`, `companions` (networks
    that the recipe delivers beside the student, by name), `notes` of the evaluation, `apart` (how far the student's
    answers are from the teacher's), and `choice` (how the recipe was chosen; None: it was named)."""

    spec: RunSpec
    folder: Path
    control: Control
    task: Task
    carry: dict[str, Any] = field(default_factory=dict)
    recipe: Recipe | None = None
    outcome: Outcome | None = None
    resolved: dict[str, Any] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    companions: dict[str, Network] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    apart: Apart | None = None
    choice: dict[str, Any] | None = None

    @classmethod
    def open(cls, spec: RunSpec, folder: Path, control: Control) -> Session:
        """Open and check everything. Raises UnknownName, InvalidConfig, InvalidDataset, InvalidTeacher."""
        # Libraries unpack files there, and several processes would write over each other's.
        rank = distributed.rank()
        sharded.check(spec)
        task = open_task(spec, folder / (f"work-{rank}" if rank else "work"))
        _ = task.student  # what cannot be built is said before any long work
        fits(task.config.fit_head, task.answer)
        return cls(spec, folder, control, task, carried(spec.resume_from) if spec.resume_from else {})

    @property
    def config(self) -> DistillConfig:
        return self.task.config

    @property
    def teacher(self) -> Network:
        """The teacher, or the set of them as one."""
        assert self.task.teacher is not None  # phases that need one come only where there is one
        return self.task.teacher

    @cached_property
    def teachings(self) -> list[Teaching]:
        """One for each teacher; [] without any."""
        return teachings(self.task)

    @property
    def pairs(self) -> Pairs | None:
        """The layers that are distilled, of a set of teachers as of one; None before they are chosen."""
        return joined_pairs(self.teachings)

    @property
    def curves(self) -> list[QCurve]:
        """The teachers' Q curves, in their order."""
        return [each.curve for each in self.teachings if each.curve is not None]

    @property
    def draws(self) -> list[dict[str, Any]]:
        """Of each of `curves` the rows that it was computed on."""
        return [
            draw_of(self.task, each.groups, each.curve)
            for each in self.teachings
            if each.curve is not None and not isinstance(each.groups, str)
        ]

    def leaving(self) -> bool:
        """Whether to hand over; several processes follow the first."""
        return distributed.agree(lambda: self.control.handover)


def open_task(spec: RunSpec, scratch: Path) -> Task:
    """The run's task, by the name that the dataset says or by what its files hold; its defaults for what the
    configuration leaves out."""
    name = task_of(spec.dataset)
    told = tasks.spec(name)
    config = spec.config.with_defaults(told.defaults)
    task = tasks.get(name)(spec.model_copy(update={"config": config}), scratch)
    task.reasons |= told.whose_defaults(config.model_dump())
    return task
