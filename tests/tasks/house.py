"""What every task is tried with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill.control import Control
from distill.run import run
from distill.types import Architecture, DatasetInput, DistillConfig, Event, RunSpec, TeacherInput


@dataclass(frozen=True)
class House:
    """A dataset, a teacher of it and a student's architecture; `settings` of the configuration, and further ones
    `by_recipe`; `ask`: what a loaded
    student says of some sample, comparable with `==`."""

    dataset: DatasetInput
    teacher: TeacherInput
    student: Architecture
    settings: dict[str, Any]
    ask: Callable[[Any], Any]
    by_recipe: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    def spec(self, **changes: Any) -> RunSpec:
        base: dict[str, Any] = {
            "epochs": 1,
            "batch_size": 16,
            "layers": 2,
            "quality_samples": 24,
            "learning_rate": 3e-3,
        }
        base |= {"device": "cpu", "precision": "fp32", "fit_head": False} | self.settings
        base |= self.by_recipe.get(changes.get("recipe", ""), {})
        resume = changes.pop("resume_from", None)
        return RunSpec(
            config=DistillConfig(**(base | changes)), dataset=self.dataset, teacher=self.teacher, student=self.student,
            resume_from=resume,
        )  # fmt: skip


def go(spec: RunSpec, folder: Path, control: Control | None = None) -> list[Event]:
    return list(run(spec, folder, control or Control()))


def trained(spec: RunSpec, folder: Path, outputs: int) -> TeacherInput:
    """A teacher of pictures, made by the library itself."""
    events = go(spec.model_copy(update={"teacher": None}), folder)
    assert events[-1].kind == "done"
    path = folder / "artifacts" / "student.safetensors"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return TeacherInput(architecture=spec.student, weights=str(path), num_classes=outputs, digest=digest)
