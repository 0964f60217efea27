"""Classifiers of timm, torchvision and Retort: one file of weights each."""

from __future__ import annotations

from distill.tasks.classify_images import SPEC
from distill.tasks.image_networks import build, catalogue_of, examine, layers, measure, rehearse

__all__ = ["build", "catalogue", "examine", "layers", "measure", "rehearse"]


def catalogue() -> list[dict[str, str]]:
    return catalogue_of(SPEC.name)
