"""Whole runs on scikit-learn's digits: a teacher trained by the library itself, once for all tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from distill.control import Control
from distill.run import run
from distill.types import Architecture, ComparisonInput, DatasetInput, DistillConfig, Event, RunSpec, TeacherInput

DIGITS = DatasetInput(kind="named", name="digits")
TEACHER = Architecture(name="retort:resnet14", options={"width": 8})
STUDENT = Architecture(name="retort:resnet8", options={"width": 4})


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def config(**changes: Any) -> DistillConfig:
    base: dict[str, Any] = {"epochs": 2, "batch_size": 64, "layers": 2, "quality_samples": 100, "train_limit": 400}
    return DistillConfig(**(base | {"device": "cpu", "precision": "fp32", "channels_last": False} | changes))


def spec(teacher: TeacherInput | tuple[TeacherInput, ...] | None = None, **changes: Any) -> RunSpec:
    fields = {name: changes.pop(name) for name in list(changes) if name in RunSpec.model_fields}
    fields = {"student": STUDENT, "dataset": DIGITS, "teacher": teacher} | fields
    return RunSpec(config=config(**changes), **fields)


def go(
    given: RunSpec, folder: Path, control: Control | None = None, watch: Callable[[Event], None] = lambda _: None
) -> list[Event]:
    """All events; `watch` sees each as it comes."""
    events = []
    for event in run(given, folder, control or Control()):
        events.append(event)
        watch(event)
    return events


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> TeacherInput:
    folder = tmp_path_factory.mktemp("teacher")
    events = go(spec(recipe="cross_entropy", student=TEACHER, epochs=5, train_limit=None), folder)
    assert events[-1].kind == "done"
    weights = folder / "artifacts" / "student.safetensors"
    return TeacherInput(architecture=TEACHER, weights=str(weights), num_classes=10, digest=sha256(weights))


@pytest.fixture(scope="session")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> ComparisonInput:
    folder = tmp_path_factory.mktemp("comparison")
    go(spec(recipe="cross_entropy"), folder)
    weights = folder / "artifacts" / "student.safetensors"
    return ComparisonInput(
        label="cross-entropy", architecture=STUDENT, weights=str(weights), recipe="cross_entropy", job_id="job_1"
    )
