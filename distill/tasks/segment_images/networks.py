"""Networks for masks of torchvision, transformers and Retort: one file of weights each."""

from __future__ import annotations

from distill.tasks.image_networks import build, catalogue_of, examine, measure
from distill.tasks.segment_images import SPEC

__all__ = ["build", "catalogue", "examine", "measure"]


def catalogue() -> list[dict[str, str]]:
    return catalogue_of(SPEC.name)
