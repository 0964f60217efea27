"""Networks of timm, torchvision, transformers and Retort that take images: one file of weights each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from distill.anatomy import anatomy
from distill.errors import InvalidTeacher
from distill.models import catalogue as networks
from distill.models import check
from distill.models.measure import measure as measured
from distill.recorded import recorded_architecture
from distill.safetensors_header import read_header
from distill.tasks import accepting
from distill.tasks.image_view import teacher_view
from distill.tasks.networks import Sent
from distill.types import Architecture


def catalogue_of(task: str) -> list[dict[str, str]]:
    """The networks of images that answer the task."""
    return [entry for entry in networks() if task in accepting(entry["name"])]


def examine(architecture: Architecture, sent: Sent) -> dict[str, Any]:
    metadata = read_header(sent.path).metadata
    try:
        report = check(completed(architecture, metadata), str(sent.path))
    except InvalidTeacher as error:
        said = recorded_architecture(metadata)
        if said is not None and said.name != architecture.name:
            error.remedy = f"What was sent says that it is {said.name}: name that architecture. {error.remedy}"
        raise
    found = anatomy(report.architecture, report.num_classes, report.in_channels).to_dict()
    return found | report.to_dict() | {"preprocessing": teacher_view(report, sent.preprocessing)}


def completed(architecture: Architecture, metadata: Mapping[str, str]) -> Architecture:
    """With the options that the file itself tells of that very architecture, where they are left out."""
    said = recorded_architecture(metadata)
    if said is None or said.name != architecture.name:
        return architecture
    return architecture.model_copy(update={"options": said.options | architecture.options})


def measure(question: dict[str, Any]) -> dict[str, Any]:
    architecture = Architecture.model_validate(question["architecture"])
    return asdict(measured(**question | {"architecture": architecture}))
