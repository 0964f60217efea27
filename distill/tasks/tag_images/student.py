"""A downloaded multi-label classifier, ready to use."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import torch
from torch import Tensor, nn

from distill.errors import InvalidConfig, InvalidTeacher
from distill.models import Preprocessing, check, load
from distill.predictions import in_parts
from distill.tasks._images.loading import header_of
from distill.tasks._images.seeing import Picture, seen
from distill.types import Architecture


@dataclass(frozen=True, slots=True)
class Tags:
    """What a picture shows. `labels`: the classes whose probability is at least the threshold, the most probable first;
    `scores`: class -> probability, the sigmoid of its logit, in class order."""

    labels: tuple[str, ...]
    scores: dict[str, float]


@dataclass(frozen=True)
class Tagger:
    """A trained network with its classes and the way it sees pictures: by the functions that evaluation used.
    `threshold`: the probability from which it says that a picture has a class, as the run set it. `native`: (height,
    width) of the pictures that evaluation resized as whole tensors; of all others the centre in the shape of the input
    is cut out and resized."""

    model: nn.Module
    architecture: Architecture
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    threshold: float
    native: tuple[int, int] | None = None

    def inputs(self, pictures: Iterable[Picture]) -> Tensor:
        """Files or PIL images -> (n, c, h, w) float32, prepared as for the report's figures."""
        return torch.cat([seen(picture, self.preprocessing, self.native) for picture in pictures])

    @torch.inference_mode()
    def probabilities(self, pictures: Iterable[Picture]) -> Tensor:
        """(n, classes) float32 in [0, 1]: of each class by itself, so that rows have any sum."""
        found = [torch.sigmoid(self.model(self.inputs(part))) for part in in_parts(pictures)]
        return torch.cat([torch.empty(0, len(self.classes)), *found])

    @overload
    def predict(self, pictures: Picture, threshold: float | None = None) -> Tags: ...  # type: ignore[overload-overlap]

    @overload
    def predict(self, pictures: Iterable[Picture], threshold: float | None = None) -> list[Tags]: ...

    def predict(self, pictures: Picture | Iterable[Picture], threshold: float | None = None) -> Tags | list[Tags]:
        """The labels of a picture, or a list of several pictures' labels. `threshold` in [0, 1]: in place of the
        student's own. Raises `InvalidConfig`, and `InvalidDataset` for a file that is no picture."""
        least = self.threshold if threshold is None else threshold
        if not 0 <= least <= 1:
            raise InvalidConfig(f"A threshold of {least} is no probability.", "Give one from 0 to 1.", {})
        one = isinstance(pictures, Picture)
        rows = self.probabilities([pictures] if isinstance(pictures, Picture) else pictures).tolist()
        found = [self._tags(row, least) for row in rows]
        return found[0] if one else found

    def _tags(self, row: list[float], least: float) -> Tags:
        scores = dict(zip(self.classes, row, strict=True))
        said = [name for name, score in scores.items() if score >= least]
        return Tags(tuple(sorted(said, key=scores.__getitem__, reverse=True)), scores)


def load_tagger(path: Path) -> Tagger:
    """Raises `InvalidTeacher` for a file that no run of this task wrote."""
    said = header_of(path)
    try:
        threshold = float(json.loads(said.metadata["threshold"]))
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidTeacher(
            f"{path.name} holds no multi-label classifier: its header lacks a threshold.",
            "Load it with distill.models.load, naming the architecture.",
        ) from error
    report = check(said.architecture, path, len(said.classes))
    model = load(report.architecture, path, len(said.classes))
    return Tagger(model, report.architecture, said.classes, said.preprocessing, threshold, said.native)
