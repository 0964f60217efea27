"""What every task is: one run's data and networks, opened and checked, and the questions that the phases ask of them.

A task's folder holds `SPEC` (torch-free) and, in `task.py`, `ENTRY`: a subclass of `Task`. Nothing outside the folder
knows which task it drives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from distill import offload
from distill.answers import Answer
from distill.disagreement import Apart, Look
from distill.export import Context, Delivery
from distill.layers import WHOLE, FeatureView, discover
from distill.models import Start
from distill.models.depth import distances
from distill.recipe_parts.base import Recipe
from distill.statistics import Difference
from distill.tasks.network import Network
from distill.tasks.spec import Metric, TaskSpec
from distill.teacher_classes import ClassMatch
from distill.training.data import Source, TrainData
from distill.types import DistillConfig, Layer, RunSpec
from distill.warned import RunWarning

Split = Literal["train", "test"]
Grouping = Literal["labels", "pseudo_classes"]
Report = dict[str, Any]


@dataclass(frozen=True)
class Splits:
    """Positions: `train` and `validation` in the dataset's training samples, `test` in its test samples. int64."""

    train: Tensor
    validation: Tensor
    test: Tensor


@dataclass(frozen=True)
class Groups:
    """What the Q curve is computed on: rows in groups that the layers should tell apart.

    `sample`: positions in the dataset's training samples, in the order of the batches; `labels` (m,): the group of each
    row, int64; `groups`: how many there are; `names`: what they are called, () where they are the task's classes, or
    of a task without classes mere numbers;
    `rows` (m,): of which place in `sample` each row is, int64, None where every sample is one row; `batches`: called
    once a forward pass, gives the network's inputs, or `distill.quality.Marked`; `view`: how a feature becomes the
    rows; `grouping`: what the groups are; `key`: what else the rows depend on, which tells curves apart; `counted`: by
    layer, which of the rows count there, (m,) bool; all of them in a layer that is not named.
    """

    sample: Tensor
    labels: Tensor
    groups: int
    batches: Callable[[], Iterable[Any]]
    view: FeatureView = WHOLE
    grouping: Grouping = "labels"
    key: str = ""
    counted: Mapping[str, Tensor] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    rows: Tensor | None = None


class Task(ABC):
    """One run of a task.

    A subclass's constructor opens what `run` names below `scratch` and checks that it fits together, before any long
    work: it sets the attributes below and raises `UnknownName`, `InvalidConfig`, `InvalidDataset`, `InvalidTeacher`.
    `run`: with every `auto` that the data decide still in it; `reasons`: why, by field. `classes`: names by number, ()
    where the task has none. `teacher_classes`: whether the teacher's logits mean them; where they do not, its features
    alone are read, and it has no figures of its own. `member_classes`: the same of each of a set's teachers; () of one
    teacher. `start`: what the student took of the weights that the run
    names, once it is made; None: it starts as the task has it. Networks are on `device`. `intervals`: of which kind the
    figures' intervals are, for people.
    """

    spec: ClassVar[TaskSpec]
    intervals: ClassVar[str] = "Wilson intervals"
    teacher_classes: ClassMatch = ClassMatch(True, "there is no teacher")
    member_classes: tuple[ClassMatch, ...] = ()
    delivery: ClassVar[Delivery]
    answer: Answer
    run: RunSpec
    device: torch.device
    recipe: type[Recipe]
    dataset: Any
    classes: tuple[str, ...]
    splits: Splits
    teacher: Network | None
    comparison: Network | None
    reasons: dict[str, str]
    start: Start | None = None

    evaluation_batch: int = 256
    """Samples of a forward pass in evaluation and scoring."""
    checked_samples: int = 1000
    """Held-out samples that the teacher answers before any long work."""

    @abstractmethod
    def __init__(self, run: RunSpec, scratch: Path) -> None: ...

    @cached_property
    def student(self) -> Network:
        """The student with fresh weights from the seed, whatever was drawn before; made when it is first asked for."""
        network, reasons = self.make_student()
        if self.config.layer_decay < 1:
            distances(network.module)  # refuses networks whose blocks have no known order
        offload.put(network.module, self.device)
        self.reasons |= reasons
        return network

    @abstractmethod
    def make_student(self) -> tuple[Network, dict[str, str]]:
        """The student, and why it is as it is, by field. Raises `InvalidConfig`."""

    def answer_of(self, network: Network) -> Answer:
        """How a network's answers are read; unless overridden as the student's are."""
        return self.answer

    def weigh(self) -> dict[str, str]:
        """Give `answer` the weights of the classes, once the splits are known, where the task has that setting; what
        was decided, by field."""
        return {}

    @property
    def config(self) -> DistillConfig:
        return self.run.config

    @property
    def teachers(self) -> tuple[tuple[Network, ClassMatch], ...]:
        """Every teacher with whether it knows the dataset's classes: of a set all, else the one; () without any."""
        if self.teacher is None:
            return ()
        members = self.teacher.members or (self.teacher,)
        return tuple(zip(members, self.member_classes or (self.teacher_classes,), strict=True))

    # -- training -----------------------------------------------------------------------------------------------------

    @property
    def view(self) -> FeatureView:
        """What of a feature the losses compare."""
        return WHOLE

    def layers(self, network: Network, named: list[str] | None = None) -> list[Layer]:
        """The network's layers by discovery, or just the named ones, with the shapes that losses see."""
        return discover(network.module, network.example(2, self.device), named)

    @abstractmethod
    def train_data(self) -> TrainData:
        """The training loop's data."""

    def warnings(self) -> list[str]:
        """What the log should say of the data, once the training data is there."""
        return []

    def cautions(self) -> list[RunWarning]:
        """What is probably wrong with the run, known before any long work."""
        return []

    def metrics(self, values: Mapping[str, float]) -> dict[str, float]:
        """Further figures of a validation, which follow from `values`."""
        return {}

    # -- scoring ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def groups(self, network: Network) -> Groups | str:
        """The rows of the network's Q curve, drawn from the training samples by `config.seed`; or why there can be no
        curve, as the end of a sentence."""

    def called(self, position: int) -> str:
        """What a user knows the training sample at this position by: its file, or the key of its shard; unless
        overridden, "": by nothing but its position."""
        return ""

    # -- evaluation ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def plain_loader(self, split: Split, indices: Tensor, network: Network) -> Source:
        """Samples of a split in order, as the network sees them, without augmentation."""

    def test_source(self, network: Network) -> Source:
        return self.plain_loader("test", self.splits.test, network)

    @property
    def native(self) -> tuple[int, int] | None:
        """(height, width) of test samples that are evaluated as whole tensors; None where there is no such thing."""
        return None

    @abstractmethod
    def predict(self, network: Network) -> Any:
        """The network's answers on the test samples, in order: what `figures` and `difference` compare."""

    @abstractmethod
    def figures(self, network: Network, found: Any, teacher: Any | None) -> Report:
        """The network's column of the report: the metrics of `spec` by name, and what else the report shows of it."""

    @abstractmethod
    def difference(self, first: Any, second: Any) -> Difference:
        """The primary metric of one network's answers less that of another's, on the same samples."""

    def apart(self, student: Any, teacher: Any) -> Apart | None:
        """How far the student's answers are from the teacher's, sample by sample; None where the task has no such
        measure, or keeps too little of the answers."""
        return None

    def sight(self, position: int) -> Look:
        """The sample at this position of the dataset's test split, for people."""
        return Look({})

    @property
    def metrics_shown(self) -> tuple[Metric, ...]:
        """Rows of the report, the most telling first: those of `spec`, unless this run's data say otherwise."""
        return self.spec.metrics

    @property
    def validated(self) -> Metric:
        """The figure by which the best student is kept."""
        return self.spec.primary

    def taught_source(self) -> Source:
        """The test samples as student and teacher see them, for tasks with samples that have no label."""
        raise NotImplementedError

    def about_probe(self) -> Report | None:
        """What the report says of the labelled dataset that judges features; None: there is none."""
        return None

    def decided(self) -> dict[str, Any]:
        """The task's own settings as the run has them, each `auto` replaced; None: the setting plays no part."""
        return {}

    def worth(self, network: Network, layer: Layer) -> Report:
        """Figures for the report's column of a teacher with other classes, computed from its feature at `layer`: how
        well it tells this dataset's classes apart. May hold metrics of `spec`; {} where the task has no such figure."""
        return {}

    def about_data(self) -> Report:
        """More of the report's `dataset`, once training has begun."""
        return {}

    def notes(self) -> list[str]:
        """What a report says of which samples were used for what."""
        return []

    def undeliverable(self, network: Network) -> str | None:
        """Why a network that a recipe delivers beside the student cannot be written and read back here, as the end of a
        sentence; None where it can."""
        return f"the task {self.spec.name} delivers plain students alone"

    def context(self, network: Network, report: Report) -> Context:
        """What exporters are given of a network, without curve and metrics."""
        return Context(
            network.module, network.architecture, self.classes, network.preprocessing, report, self.delivery,
            tokens=network.tokens, native=self.native, teacher=self.teacher,
        )  # fmt: skip

    @staticmethod
    @abstractmethod
    def load_student(path: Path) -> Any:
        """What `distill.student.load_student` gives for a file that `delivery` wrote. Raises `InvalidTeacher`."""
