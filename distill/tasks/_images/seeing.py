"""How a delivered student sees a picture: by the functions that evaluation used."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from distill.errors import InvalidDataset
from distill.modalities.images.crops import evaluated
from distill.modalities.images.depth import PixelRange
from distill.modalities.images.large import evaluation_view
from distill.modalities.images.normalise import Normaliser
from distill.modalities.images.samples import to_tensor
from distill.modalities.images.sources import UnreadableImage, decode, finished
from distill.models import Preprocessing

Picture = str | Path | Image.Image


def seen(picture: Picture, how: Preprocessing, native: tuple[int, int] | None) -> Tensor:
    """(1, c, h, w) float32, prepared as for the report's figures. Pictures of the size `native` are resized whole, as
    evaluation did; of all others the centre in the shape of the input is cut out and resized."""
    image = decoded(picture, how.pixel_range)
    if (image.height, image.width) == native:
        pixels = evaluated(to_tensor(image), how.size, how.crop)
    else:
        pixels = torch.from_numpy(evaluation_view(image, how))
    return Normaliser(how, torch.device("cpu"))(pixels[None])


def decoded(image: Picture, between: PixelRange | None = None) -> Image.Image:
    """Mode L or RGB, as the data path decodes; 16-bit grey in the range `between`. Raises `InvalidDataset` for a
    file that is no image or a huge one."""
    name = "image" if isinstance(image, Image.Image) else str(image)
    try:
        if isinstance(image, Image.Image):
            return finished(image, between)
        return decode(Path(image).read_bytes(), name, between=between)
    except UnreadableImage as error:
        raise InvalidDataset(f"{name} cannot be read: {error}.", "Give an image file.", {"image": name}) from error
