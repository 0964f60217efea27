"""What is handed over: a finished job's files on disk, with what is known of the job."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from distill.strict_model import Model

WEIGHTS, FOLDER, CARD, DESCRIBED = "student.safetensors", "student.zip", "README.md", "student.json"


class BundleFile(Model):
    """One file. `name`: as the job calls it; the path is `Bundle.folder / name`."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str


class BundleMetric(Model):
    """One row of the metric history. `at`: seconds since 1970, when it came; None where that is not known any more."""

    split: str
    step: int
    epoch: float
    values: dict[str, float | None]
    at: float | None


class BundleSource(Model):
    """A repository of the hub that the student was made of."""

    kind: Literal["model", "dataset"]
    repository: str
    revision: str


class Outline(Model):
    """What is known of a job while it runs. `publication`: the id under which it is sent, the same at every attempt.
    `settled`: whether `config` is what the run made of it, no value `auto` any more."""

    publication: str
    job: str
    name: str
    recipe: str
    task: str
    config: dict[str, Any]
    settled: bool = True
    student: dict[str, Any]
    started_at: datetime
    metrics: list[BundleMetric] = Field(default_factory=list)

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name or self.job


class Bundle(Outline):
    """What a job that has succeeded is. `result`: the report's summary."""

    folder: Path
    result: dict[str, Any]
    finished_at: datetime
    files: list[BundleFile]
    sources: list[BundleSource] = Field(default_factory=list)

    def path(self, name: str) -> Path:
        return self.folder / name

    def has(self, name: str) -> bool:
        return any(each.name == name for each in self.files)
