"""Networks for masks of torchvision, transformers and Retort: one file of weights each."""

from __future__ import annotations

from typing import Any

from distill.answers.reaching import ReachingMaps
from distill.tasks import image_networks
from distill.tasks.image_networks import build, catalogue_of, examine, layers, measure
from distill.tasks.segment_images import SPEC
from distill.warned import RunWarning

__all__ = ["build", "catalogue", "examine", "layers", "measure", "rehearse"]


def catalogue() -> list[dict[str, str]]:
    return catalogue_of(SPEC.name)


def rehearse(question: dict[str, Any]) -> list[RunWarning]:
    return image_networks.rehearse(question, ReachingMaps())
