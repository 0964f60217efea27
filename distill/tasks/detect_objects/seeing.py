"""How a detector sees a picture: whole, resized to its input whatever its shape."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from distill.modalities.images.normalise import Normaliser
from distill.models import Preprocessing
from distill.tasks.detect_objects.detections import Detections
from distill.tasks.segment_images.framing import show, whole

Size = tuple[int, int]


def seen(image: Image.Image, how: Preprocessing) -> Tensor:
    """(1, c, h, w) float32 of a decoded picture, as evaluation shows it."""
    pixels = torch.from_numpy(show(image, whole((image.height, image.width)), how))
    return Normaliser(how, torch.device("cpu"))(pixels[None])


def placed(found: Detections, size: Size, native: Size) -> Detections:
    """Boxes in pixels of the input of `size` (height, width), in pixels of the picture of `native`."""
    return found.resized(size, native)
