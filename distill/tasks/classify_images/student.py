"""A downloaded image classifier, ready to use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from distill.errors import InvalidConfig
from distill.models import Preprocessing, check, load
from distill.predictions import Prediction, in_parts
from distill.tasks._images.loading import header_of
from distill.tasks._images.seeing import Picture, seen
from distill.tasks.classify_images.composite import ENTRY as COMPOSITE
from distill.tasks.classify_images.composite import load_composite
from distill.types import Architecture


@dataclass(frozen=True)
class Student:
    """A trained classifier with its class names and the way it sees images: by the functions that evaluation used. A
    backbone, trained on images without labels, has no `classes` and gives `features` alone.

    `native`: (height, width) of the images that evaluation resized as whole tensors; all others are looked at one by
    one, the centre in the shape of the input cut out and resized."""

    model: nn.Module
    architecture: Architecture
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    native: tuple[int, int] | None = None

    def inputs(self, images: Iterable[Picture]) -> Tensor:
        """Files or PIL images -> (n, c, h, w) float32, prepared as for the report's accuracy."""
        return torch.cat([seen(image, self.preprocessing, self.native) for image in images])

    @torch.inference_mode()
    def features(self, images: Iterable[Picture]) -> Tensor:
        """(n, d) float32: what the network gives of each image; of a classifier the logits."""
        return torch.cat([self.model(self.inputs(part)) for part in in_parts(images)])

    @torch.inference_mode()
    def probabilities(self, images: Iterable[Picture]) -> Tensor:
        """(n, classes) float32, rows sum to 1. Raises `InvalidConfig` for a backbone."""
        if not self.classes:
            raise InvalidConfig(
                "This student is a backbone without a classifier: it was trained on images without labels.",
                "Ask for its features, or train a classifier on them.",
            )
        found = [torch.softmax(self.model(self.inputs(part)), dim=1) for part in in_parts(images)]
        return torch.cat([torch.empty(0, len(self.classes)), *found])

    def predict(self, images: Picture | Iterable[Picture]) -> list[Prediction]:
        """The most probable class of each image, also of one alone."""
        images = [images] if isinstance(images, Picture) else images
        best = self.probabilities(images).max(1)
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [Prediction(self.classes[index], index, probability) for index, probability in pairs]


def load_classifier(path: Path) -> Student:
    """Raises `InvalidTeacher` for a file that no run of this task wrote."""
    said = header_of(path)
    if COMPOSITE in said.metadata:
        made = load_composite(said, path)
        return Student(made, said.architecture, said.classes, said.preprocessing, said.native)
    report = check(said.architecture, path, len(said.classes) or None)
    model = load(report.architecture, path, len(said.classes) or None)
    return Student(model, report.architecture, said.classes, said.preprocessing, said.native)
