"""The networks of image classification, with a logit a class."""

from __future__ import annotations

from distill.tasks.image_networks import build, catalogue_of, examine, layers, measure, rehearse
from distill.tasks.tag_images import SPEC

__all__ = ["build", "catalogue", "examine", "layers", "measure", "rehearse"]


def catalogue() -> list[dict[str, str]]:
    return catalogue_of(SPEC.name)
