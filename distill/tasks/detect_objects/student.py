"""A downloaded detector, ready to use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import torch
from PIL import Image
from torch import nn

from distill.answers import logits_of
from distill.errors import InvalidConfig, InvalidTeacher
from distill.models import Preprocessing, check, load
from distill.tasks._images.loading import header_of
from distill.tasks._images.seeing import Picture, decoded
from distill.tasks.detect_objects.detections import Detections, detect
from distill.tasks.detect_objects.heads import head_of
from distill.tasks.detect_objects.seeing import placed, seen
from distill.types import Architecture


@dataclass(frozen=True)
class PredictedBox:
    """`corners`: x1 y1 x2 y2 in pixels of the picture."""

    label: str
    score: float
    corners: tuple[float, float, float, float]


@dataclass(frozen=True)
class PredictedBoxes:
    """The boxes of a picture, the best first, in its pixels. `found`: as tensors; `names`: of the classes."""

    found: Detections
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[PredictedBox]:
        rows = (column.tolist() for column in (self.found.corners, self.found.classes, self.found.scores))
        for (x1, y1, x2, y2), number, score in zip(*rows, strict=True):
            yield PredictedBox(self.names[number], score, (x1, y1, x2, y2))

    def above(self, score: float) -> PredictedBoxes:
        """Those with at least that score."""
        return PredictedBoxes(self.found.above(score), self.names)

    def to_coco(self, image_id: int, category_ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """As COCO's results files have them. `category_ids`: by class; None: 1, 2, ... in their order. Raises
        `InvalidConfig` for more or fewer ids than classes."""
        if category_ids is not None and len(category_ids) != len(self.names):
            message = f"There are {len(category_ids)} category_ids for {len(self.names)} classes."
            raise InvalidConfig(message, f"Give an id to each class, in this order: {', '.join(self.names[:20])}.")
        return self.found.to_coco(image_id, category_ids)


@dataclass(frozen=True)
class Detector:
    """A trained detector with its classes and the way it sees images, as for the report's AP."""

    model: nn.Module
    architecture: Architecture
    classes: tuple[str, ...]
    preprocessing: Preprocessing

    @torch.inference_mode()
    def detect(self, image: Image.Image) -> Detections:
        """The boxes of a decoded picture, in its pixels."""
        how = self.preprocessing
        rows = logits_of(self.model(seen(image, how)))[0]
        return placed(detect(rows, head_of(self.model)), how.size, (image.height, image.width))

    @overload
    def predict(self, pictures: Picture) -> PredictedBoxes: ...  # type: ignore[overload-overlap] # a str is one path

    @overload
    def predict(self, pictures: Iterable[Picture]) -> list[PredictedBoxes]: ...

    def predict(self, pictures: Picture | Iterable[Picture]) -> PredictedBoxes | list[PredictedBoxes]:
        """The boxes of a picture, or a list of those of several. Raises `InvalidDataset` for what is no image."""
        return self._boxes(pictures) if isinstance(pictures, Picture) else [self._boxes(each) for each in pictures]

    def _boxes(self, picture: Picture) -> PredictedBoxes:
        image = decoded(picture, self.preprocessing.pixel_range)
        return PredictedBoxes(self.detect(image), self.classes)


def load_detector(path: Path) -> Detector:
    """Raises `InvalidTeacher` for a file that no run of this task wrote."""
    said = header_of(path)
    report = check(said.architecture, path, len(said.classes))
    model = load(report.architecture, path, len(said.classes))
    how = said.preprocessing
    with torch.inference_mode():
        output = logits_of(model(torch.zeros(1, how.channels, *how.size)))
    if head_of(model).classes(output) != len(said.classes):
        raise InvalidTeacher(f"{path.name} holds no detector.", "Load it with distill.models.load.")
    return Detector(model, report.architecture, said.classes, how)
