"""What a task is, as API, client and dashboard read it. Torch-free.

A task is one folder of `distill/tasks`: its `__init__.py` holds the `SPEC` (this module's `TaskSpec`), its `task.py`
what runs (`distill.tasks._base.Task`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Modality = Literal["images", "texts"]
Unit = Literal["share", "nats", "ratio", "per_second", "number"]
"""`share`: in [0, 1], shown as per cent; `nats`: a mean cross-entropy; `ratio`: a positive number without unit;
`per_second`: a rate; `number`: anything else."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of the task: `name` is its key in metrics events and in the columns of a report, `label` its title for
    people. `interval`: the report's value is `{value, low, high, n}` with a 95 % interval, else a plain number."""

    name: str
    label: str
    unit: Unit
    higher_is_better: bool
    interval: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task, torch-free.

    `name`: the folder's; `title`: for people; `summary`: one sentence. `modality`: what goes in. `sample`, `samples`:
    what one and many of its samples are called. `metrics`: rows of report and dashboard in order; the first is the
    primary one, by which the best student is kept. `loss`: what the task's own loss on the labels is called in metrics.
    `per_class`: the metric whose values by class a report holds under `per_class`; empty: none. `settings`: fields of
    `DistillConfig` that not every task has and this one has. `architectures`: prefixes of the names of networks that
    answer this task (see `distill.tasks.accepting`). `needs_teacher`: whether every recipe wants a teacher to start
    from.
    """

    name: str
    title: str
    summary: str
    modality: Modality
    sample: str
    samples: str
    metrics: tuple[Metric, ...]
    architectures: tuple[str, ...]
    loss: str = "cross_entropy"
    per_class: str = ""
    settings: frozenset[str] = frozenset()
    needs_teacher: bool = False

    @property
    def primary(self) -> Metric:
        return self.metrics[0]

    def fit(self, architecture: str) -> int:
        """Length of the longest of `architectures` that the name begins with; 0: none."""
        return max((len(prefix) for prefix in self.architectures if architecture.startswith(prefix)), default=0)

    def to_dict(self) -> dict[str, Any]:
        """The entry of `GET /catalogue/tasks`."""
        found = {name: getattr(self, name) for name in self.__slots__ if name not in {"metrics", "settings"}}
        return found | {"metrics": [metric.to_dict() for metric in self.metrics], "settings": sorted(self.settings)}
