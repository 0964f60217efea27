"""The pairs of the long study (protocol.md): data, teacher, student, and how the student's machine code is fastest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill.commands.study import parse_architecture, parse_dataset
from distill.types import Architecture, DatasetInput


@dataclass(frozen=True)
class Pair:
    """`level`: the test accuracy that a teacher must have. `peak`: the published peak of the learning rate.
    `teacher_peak`: the teacher's own. `begun`: the published weights that its training begins with (published.py)."""

    name: str
    data: str
    teacher: str
    teacher_epochs: int
    level: float
    student: str
    smaller: str
    larger: str
    peak: float = 7.5e-3
    teacher_peak: float | None = None
    begun: str | None = None
    settings: Mapping[str, Any] = field(default_factory=lambda: {"precision": "bf16", "channels_last": True})

    @property
    def teacher_architecture(self) -> Architecture:
        return parse_architecture(self.teacher)

    def student_architecture(self, size: str = "student") -> Architecture:
        """`size`: "student", "smaller" or "larger"."""
        return parse_architecture({"student": self.student, "smaller": self.smaller, "larger": self.larger}[size])

    def dataset(self, cifar: Path | None) -> DatasetInput | None:
        """None where the folder of CIFAR-10's parquet files was not given."""
        if self.data == "fashion-mnist":
            return parse_dataset((self.data,))
        return None if cifar is None else parse_dataset(tuple(f"{r}={cifar / r}.parquet" for r in ("train", "test")))


DEPTHWISE = {"precision": "fp32", "channels_last": True}
RESNETS = ("retort:resnet8?width=16", "retort:resnet8?width=8", "retort:resnet8?width=32")
VGGS = ("retort:vgg11_small?width=12", "retort:vgg11_small?width=6", "retort:vgg11_small?width=24")
MOBILES = (
    "retort:mobilenet_v2_small?width=12",
    "retort:mobilenet_v2_small?width=8",
    "retort:mobilenet_v2_small?width=24",
)
SMALL = ("retort:resnet8?width=4", "retort:resnet8?width=2", "retort:resnet8?width=8")
PAIRS = (
    Pair("cifar10-resnet", "cifar10", "retort:resnet56", 4, 0.895, *RESNETS, begun="resnet56", teacher_peak=1e-3),
    Pair(
        "cifar10-mobilenet",
        "cifar10",
        "retort:resnet56",
        4,
        0.895,
        *MOBILES,
        settings=DEPTHWISE,
        begun="resnet56",
        teacher_peak=1e-3,
    ),
    Pair("fashion-resnet", "fashion-mnist", "retort:resnet9?width=16", 15, 0.93, *SMALL),
    Pair("cifar10-vgg", "cifar10", "retort:vgg11_small?width=48", 30, 0.86, *VGGS, peak=5e-3),
)
