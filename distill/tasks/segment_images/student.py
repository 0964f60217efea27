"""A downloaded network for masks, ready to use."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from distill.answers import logits_of
from distill.errors import InvalidTeacher
from distill.modalities.images.normalise import Normaliser
from distill.models import Preprocessing, check, load
from distill.tasks._images.loading import header_of
from distill.tasks._images.seeing import Picture, decoded
from distill.tasks.segment_images.framing import show, whole
from distill.tasks.segment_images.legend import Colour
from distill.types import Architecture


@dataclass(frozen=True)
class PredictedMask:
    """`classes` (h, w): the class of every pixel, at the picture's own size. `names`, `palette`: of the classes."""

    classes: NDArray[np.int16]
    names: tuple[str, ...]
    palette: tuple[Colour, ...]

    def image(self) -> Image.Image:
        """A palette image in the dataset's colours; grey values of 16 bits where there are more than 256 classes."""
        if len(self.names) > 256:
            return Image.fromarray(self.classes.astype(np.uint16))
        image = Image.fromarray(self.classes.astype(np.uint8), "P")
        image.putpalette([channel for colour in self.palette for channel in colour])
        return image

    def save(self, path: str | Path) -> None:
        """As PNG, whose values are the classes' numbers."""
        self.image().save(path, "PNG")

    def shares(self) -> dict[str, float]:
        """Each class's share of the pixels, by name."""
        counts = np.bincount(self.classes.ravel(), minlength=len(self.names))
        return dict(zip(self.names, (counts / counts.sum()).tolist(), strict=True))


@dataclass(frozen=True)
class Segmenter:
    """A trained network for masks with its classes and the way it sees images: the whole picture resized to its input,
    logits resized back, as for the report's mean IoU."""

    model: nn.Module
    architecture: Architecture
    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    preprocessing: Preprocessing

    @torch.inference_mode()
    def logits(self, picture: Picture) -> Tensor:
        """A file or PIL image -> (classes, h, w) float32 at the picture's size."""
        how = self.preprocessing
        image = decoded(picture, how.pixel_range)
        size = (image.height, image.width)
        seen = Normaliser(how, torch.device("cpu"))(torch.from_numpy(show(image, whole(size), how))[None])
        found = logits_of(self.model(seen)).float()
        if found.shape[-2:] != size:
            found = F.interpolate(found, size=size, mode="bilinear", align_corners=False)
        return found[0]

    @overload
    def predict(self, pictures: Picture) -> PredictedMask: ...  # type: ignore[overload-overlap] # a str is one path

    @overload
    def predict(self, pictures: Iterable[Picture]) -> list[PredictedMask]: ...

    def predict(self, pictures: Picture | Iterable[Picture]) -> PredictedMask | list[PredictedMask]:
        """The mask of a picture, or a list of masks of several. Raises `InvalidDataset` for a file that is no image."""
        return self._mask(pictures) if isinstance(pictures, Picture) else [self._mask(each) for each in pictures]

    def _mask(self, picture: Picture) -> PredictedMask:
        return PredictedMask(self.logits(picture).argmax(0).numpy().astype(np.int16), self.classes, self.palette)


def load_segmenter(path: Path) -> Segmenter:
    """Raises `InvalidTeacher` for a file that no run of this task wrote."""
    said = header_of(path)
    try:
        palette = tuple((int(r), int(g), int(b)) for r, g, b in json.loads(said.metadata["palette"]))
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidTeacher(
            f"{path.name} holds no network for masks: its header lacks a palette.",
            "Load it with distill.models.load, naming the architecture.",
        ) from error
    report = check(said.architecture, path, len(said.classes))
    model = load(report.architecture, path, len(said.classes))
    return Segmenter(model, report.architecture, said.classes, palette, said.preprocessing)
