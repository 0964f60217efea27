"""What a task is, as API, client and dashboard read it. Torch-free.

A task is one folder of `distill/tasks`: its `__init__.py` holds the `SPEC` (this module's `TaskSpec`), its `task.py`
what runs (`distill.tasks.base.Task`). What else the folder holds, `distill.tasks` names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from distill import exports
from distill.errors import InvalidConfig

Modality = Literal["images", "texts"]
Unit = Literal["share", "nats", "ratio", "per_second", "number"]
"""`share`: in [0, 1], shown as per cent; `nats`: a mean cross-entropy; `ratio`: a positive number without unit;
`per_second`: a rate; `number`: anything else."""
Given = Literal["tensor", "tokens", "decoder", ""]
Container = Literal["weights", "folder"]
"""How a network is kept. `weights`: one safetensors file of an architecture whose name and options say its sizes.
`folder`: a model folder in a zip (configuration, weights, tokenizer) whose configuration says the sizes; the
architecture's name says the family alone."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of the task: `name` is its key in metrics events and in the columns of a report, `label` its title for
    people. `interval`: the report's value is `{value, low, high, n}` with a 95 % interval, else a plain number or
    `{value, n}`. `path`: where a column of a report holds it, if not under its name: keys joined by `/`. `note`: what
    stands beside its title; `{path}` in it is what a column holds there."""

    name: str
    label: str
    unit: Unit
    higher_is_better: bool
    interval: bool = False
    path: str = ""
    note: str = ""

    def value(self, column: Mapping[str, Any]) -> float | None:
        """The figure in a column of a report; None where there is none."""
        found: Any = column
        for key in (self.path or self.name).split("/"):
            found = found.get(key) if isinstance(found, Mapping) else None
        found = found.get("value") if isinstance(found, Mapping) else found
        return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__} | {"path": self.path or self.name}


_APART = frozenset({"metrics", "settings", "older_kind", "pipeline"})


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task, torch-free.

    For people: `title`; `summary`, one sentence; `sample`, `samples`: what one and many of its samples are called;
    `files`: which files make a dataset of it, a sentence each; `teacher_files`: which files a teacher is;
    `student_hint`: how its students are chosen, empty where nothing is special. Code stands in backticks.

    `name`: the folder's. `modality`: what goes in. `metrics`: rows of report and dashboard in order; the first is the
    primary one, by which the best student is kept. `loss`: what the task's own loss on the labels is called in metrics.
    `per_class`: what the values by class that a report holds under `per_class` are called; empty: there are none.
    `counted`: what the number `n` beside each of them counts; empty: `samples`.
    `settings`: fields of `DistillConfig` that not every task has and this one has. `recipes`: those that it offers;
    empty: all. `augmentations`: values of the setting `augmentation` that it offers, where it has that setting.

    `defaults`: values of fields of `DistillConfig` that a configuration has where it leaves them out, in place of the
    fields' own.

    `reading`: options of a dataset's registration, beside its files, that the task's files may have.

    `architectures`: prefixes of the names of networks that answer this task (see `distill.tasks.accepting`).
    `container`: how its networks are kept. `student`: the architecture that a form suggests; empty: none.
    `needs_teacher`: whether every recipe wants a teacher to start from. `student_weights`: whether a job may name the
    weights that its student starts from. `prunes`: whether a student may be its teacher, pruned. `unlabelled`:
    whether samples may lack a label. `several_teachers`: whether a job may name a set of teachers. `exports`: what
    formats are given of its students: `tensor`, a graph of one tensor in and one out; `tokens`, one of token ids and
    what belongs to them in and one tensor out; `decoder`, a language model that predicts the next token; empty:
    nothing. `writes`: whether its networks' answers
    are texts, written token by token. `pipeline`: what the Hugging Face hub calls such students (`pipeline_tag`);
    empty: nothing.

    `older_kind`: the `kind` in reports of releases that did not write `task` ("": reports without a `kind`); None:
    there are none of this task.
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
    counted: str = ""
    settings: frozenset[str] = frozenset()
    recipes: tuple[str, ...] = ()
    augmentations: tuple[str, ...] = ("none", "crop_flip", "randaugment")
    container: Container = "weights"
    student: str = ""
    needs_teacher: bool = False
    student_weights: bool = False
    prunes: bool = False
    files: tuple[str, ...] = ()
    teacher_files: str = "safetensors, a torch.save file (`.pt`, `.pth`, `.bin`), or shards with their index"
    student_hint: str = ""
    older_kind: str | None = None
    defaults: tuple[tuple[str, int], ...] = ()
    reading: tuple[str, ...] = ()
    unlabelled: bool = False
    several_teachers: bool = False
    exports: Given = "tensor"
    writes: bool = False
    pipeline: str = ""

    @property
    def primary(self) -> Metric:
        return self.metrics[0]

    @property
    def formats(self) -> tuple[str, ...]:
        """Names of the formats that its students are written in (`distill.exports`)."""
        return exports.of(self.exports)

    def fit(self, architecture: str) -> int:
        """Length of the longest of `architectures` that the name begins with; 0: none."""
        return max((len(prefix) for prefix in self.architectures if architecture.startswith(prefix)), default=0)

    def offers(self, recipe: str) -> bool:
        return not self.recipes or recipe in self.recipes

    def whose_defaults(self, config: Mapping[str, Any]) -> dict[str, str]:
        """Whose value each field of `defaults` has in a configuration, by field."""
        return {
            field: f"{value}: what {self.title} has where nothing is said" if config[field] == value else "given"
            for field, value in self.defaults
        }

    def refuses_augmentation(self, name: str) -> InvalidConfig | None:
        """The refusal of an augmentation that the task does not offer; None for one that it does."""
        if "augmentation" not in self.settings or name in self.augmentations:
            return None
        return InvalidConfig(
            f"{self.title} does not offer the augmentation {name}.",
            f"Use one of {', '.join(self.augmentations)}.",
            {"field": "augmentation", "value": name, "task": self.name},
        )

    def to_dict(self) -> dict[str, Any]:
        """The entry of `GET /catalogue/tasks`."""
        found = {name: getattr(self, name) for name in self.__slots__ if name not in _APART}
        found |= {"counted": self.counted or self.samples, "defaults": dict(self.defaults)}
        found |= {"exports": bool(self.exports), "formats": list(self.formats)}
        return found | {"metrics": [metric.to_dict() for metric in self.metrics], "settings": sorted(self.settings)}
