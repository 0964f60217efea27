"""Networks of timm, torchvision, transformers and Retort that take images: one file of weights each."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from distill.anatomy import anatomy
from distill.models import catalogue as networks
from distill.models import check
from distill.models.measure import measure as measured
from distill.tasks import accepting
from distill.tasks.image_view import teacher_view
from distill.tasks.networks import Sent
from distill.types import Architecture


def catalogue_of(task: str) -> list[dict[str, Any]]:
    """The networks of images that answer the task."""
    return [entry for entry in networks() if task in accepting(entry["name"])]


def examine(architecture: Architecture, sent: Sent) -> dict[str, Any]:
    report = check(architecture, str(sent.path))
    found = anatomy(report.architecture, report.num_classes, report.in_channels).to_dict()
    return found | report.to_dict() | {"preprocessing": teacher_view(report, sent.preprocessing)}


def measure(question: dict[str, Any]) -> dict[str, Any]:
    architecture = Architecture.model_validate(question["architecture"])
    return asdict(measured(**question | {"architecture": architecture}))
