"""A downloaded student in three lines:

from distill.student import load_student
student = load_student("student.safetensors")
print(student.predict(["cat.png", "dog.png"]))
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import Tensor, nn

from distill.errors import InvalidDataset, InvalidTeacher
from distill.modalities.images.crops import evaluated
from distill.modalities.images.large import evaluation_view
from distill.modalities.images.normalise import Normaliser
from distill.modalities.images.samples import to_tensor
from distill.modalities.images.sources import UnreadableImage, decode, finished
from distill.models import Preprocessing, check, load
from distill.running.prepare import read_preprocessing
from distill.types import Architecture

BATCH = 64
"""Images or texts that go through a network at once, however many are asked about."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """`probability`: the softmax of the class's logit, in (0, 1]."""

    label: str
    index: int
    probability: float


@dataclass(frozen=True)
class Student:
    """A trained classifier with its class names and the way it sees images: by the functions that evaluation used.

    `native`: (height, width) of the images that evaluation resized as whole tensors; all others are looked at one by
    one, the centre in the shape of the input cut out and resized."""

    model: nn.Module
    architecture: Architecture
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    native: tuple[int, int] | None = None

    def inputs(self, images: Iterable[str | Path | Image.Image]) -> Tensor:
        """Files or PIL images -> (n, c, h, w) float32, prepared as for the report's accuracy."""
        return torch.cat([self._input(image) for image in images])

    def _input(self, image: str | Path | Image.Image) -> Tensor:
        decoded, how = _decoded(image), self.preprocessing
        if (decoded.height, decoded.width) == self.native:
            pixels = evaluated(to_tensor(decoded), how.size, how.crop)
        else:
            pixels = torch.from_numpy(evaluation_view(decoded, how))
        return Normaliser(how, torch.device("cpu"))(pixels[None])

    @torch.inference_mode()
    def probabilities(self, images: Iterable[str | Path | Image.Image]) -> Tensor:
        """(n, classes) float32, rows sum to 1."""
        found = [torch.softmax(self.model(self.inputs(part)), dim=1) for part in in_parts(images)]
        return torch.cat([torch.empty(0, len(self.classes)), *found])

    def predict(self, images: Iterable[str | Path | Image.Image]) -> list[Prediction]:
        """The most probable class of each image."""
        best = self.probabilities(images).max(1)
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [Prediction(self.classes[index], index, probability) for index, probability in pairs]


Item = TypeVar("Item")


def in_parts(items: Iterable[Item]) -> Iterator[list[Item]]:
    """`BATCH` of them at a time."""
    left = iter(items)
    while part := list(islice(left, BATCH)):
        yield part


def _decoded(image: str | Path | Image.Image) -> Image.Image:
    """Mode L or RGB, as the data path decodes. Raises `InvalidDataset` for a file that is no image or a huge one."""
    name = "image" if isinstance(image, Image.Image) else str(image)
    try:
        return finished(image) if isinstance(image, Image.Image) else decode(Path(image).read_bytes(), name)
    except UnreadableImage as error:
        raise InvalidDataset(f"{name} cannot be read: {error}.", "Give an image file.", {"image": name}) from error


def load_student(path: str | Path) -> Any:
    """Load what a Retort run wrote: a `student.safetensors` gives a `Student`, a `student.zip` (or the folder in it) a
    `distill.text_student.TextStudent`. Raises InvalidTeacher for any other file."""
    with_header = Path(path)
    if with_header.is_dir() or with_header.suffix == ".zip":
        from distill.text_student import load_text_student  # transformers is an optional part

        return load_text_student(with_header)
    metadata = _metadata(with_header)
    try:
        architecture = Architecture.model_validate_json(metadata["architecture"])
        classes = tuple(str(name) for name in json.loads(metadata["classes"]))
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidTeacher(
            f"{with_header.name} was not written by Retort: its header lacks {error}.",
            "Load it with distill.models.load, naming the architecture.",
        ) from error
    report = check(architecture, with_header, len(classes))
    how = read_preprocessing(report.metadata.get("preprocessing", ""))
    model = load(report.architecture, with_header, len(classes))
    return Student(model, report.architecture, classes, how, _native(report.metadata.get("native", "null")))


def _native(text: str) -> tuple[int, int] | None:
    """(height, width); None for a header without, as earlier releases wrote it."""
    try:
        height, width = json.loads(text)
        return int(height), int(width)
    except (ValueError, TypeError):
        return None


def _metadata(path: Path) -> dict[str, str]:
    from distill.safetensors_header import read_header

    return read_header(path).metadata
