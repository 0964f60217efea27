"""Replaces every `auto` of the training part of a configuration, with the reason, and remembers what was chosen."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from distill.errors import InvalidConfig
from distill.training.mode import Mode
from distill.types import DistillConfig

# May differ between a run and its continuation: they change no number.
FREE_FIELDS = {"device", "checkpoint_seconds", "cache_memory_bytes", "quality_memory_bytes"}


@dataclass(frozen=True)
class Descent:
    """How the optimizer steps. `momentum`, `nesterov`: None where it has none, or its own default stays; `milestones`:
    of multi_step, in epochs. Of releases before there was a choice: AdamW, one cycle."""

    weight_decay: float
    warmup_fraction: float
    momentum: float | None = None
    nesterov: bool | None = None
    milestones: tuple[float, ...] | None = None

    @classmethod
    def read(cls, data: dict[str, Any] | None, given: DistillConfig) -> Descent:
        if data is None:
            decay, up = given.weight_decay, given.warmup_fraction
            return cls(0.01 if decay == "auto" else decay, 0.3 if up == "auto" else up)
        milestones = data["milestones"]
        return cls(**(data | {"milestones": milestones and tuple(milestones)}))


@dataclass(frozen=True)
class Resolved:
    """What the run does. `given`: the configuration before resolution, `cache`: the place of the teacher's targets.
    `backbone_learning_rate`: the peak of what the student took; None: all of it starts from noise."""

    given: DistillConfig
    learning_rate: float
    device: str
    student: Mode
    teacher: Mode
    cache: str
    reasons: dict[str, str]
    threads: int  # more or fewer would sum in another order: a continued run takes the number it began with
    fit_head: bool = False
    backbone_learning_rate: float | None = None
    descent: Descent = field(default_factory=lambda: Descent(0.01, 0.3))

    def config(self) -> dict[str, Any]:
        """The configuration as run: `auto` replaced in every field that training decides."""
        decided = {
            "learning_rate": self.learning_rate,
            "backbone_learning_rate": self.backbone_learning_rate,
            "device": self.device,
            "precision": self.student.precision,
            "channels_last": self.student.channels_last,
            "compile": self.student.compile,
            "cache_teacher": self.cache != "live",
            "fit_head": self.fit_head,
            "gamma": self.given.gamma if self.given.schedule == "multi_step" else None,
        } | asdict(self.descent)
        return self.given.model_dump() | decided

    def to_dict(self) -> dict[str, Any]:
        return {
            "given": self.given.model_dump(),
            "learning_rate": self.learning_rate,
            "device": self.device,
            "student": self.student.to_dict(),
            "teacher": self.teacher.to_dict(),
            "cache": self.cache,
            "reasons": self.reasons,
            "threads": self.threads,
            "fit_head": self.fit_head,
            "backbone_learning_rate": self.backbone_learning_rate,
            "descent": asdict(self.descent),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Resolved:
        modes = {key: Mode(**data[key]) for key in ("student", "teacher")}
        given = DistillConfig(**data["given"])
        return cls(**(data | modes | {"given": given, "descent": Descent.read(data.get("descent"), given)}))


def check_same(given: DistillConfig, saved: DistillConfig) -> None:
    """Raise InvalidConfig unless a checkpoint's configuration is the one to continue with."""
    now, before = given.model_dump(exclude=FREE_FIELDS), saved.model_dump(exclude=FREE_FIELDS)
    changed = {key: [before[key], now[key]] for key in now if now[key] != before[key]}
    if changed:
        raise InvalidConfig(
            f"The checkpoint was written with another configuration: {', '.join(sorted(changed))} differ.",
            "Continue with the configuration of the checkpoint, or start without resume_from.",
            {"changed": changed},
        )


@dataclass(frozen=True)
class Length:
    """Batches and optimiser steps of a run. One step takes `accumulation` batches; an epoch's last step takes what
    is left."""

    batches_per_epoch: int
    accumulation: int
    total_steps: int

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.batches_per_epoch / self.accumulation)

    @property
    def passes(self) -> float:
        """How often the run sees each sample."""
        epochs, steps = divmod(self.total_steps, self.steps_per_epoch)
        return epochs + min(steps * self.accumulation / self.batches_per_epoch, 1)


def length(config: DistillConfig, batches_per_epoch: int) -> Length:
    steps = math.ceil(batches_per_epoch / config.gradient_accumulation) * config.epochs
    total = steps if config.max_steps is None else min(steps, config.max_steps)
    return Length(batches_per_epoch, config.gradient_accumulation, total)
