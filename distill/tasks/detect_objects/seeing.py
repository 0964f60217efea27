"""How a detector sees a picture, and where its boxes lie in it."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from distill.modalities.images.normalise import Normaliser
from distill.modalities.images.samples import to_tensor
from distill.models import Preprocessing
from distill.tasks.detect_objects.detections import Detections
from distill.tasks.detect_objects.framing import Size, show, shown_size, whole


def seen(image: Image.Image, how: Preprocessing) -> Tensor:
    """(1, c, h, w) float32 of a decoded picture, as evaluation shows it."""
    shown = show(image, whole((image.height, image.width)), how)
    return Normaliser(how, torch.device("cpu"))(to_tensor(shown)[None])


def placed(found: Detections, size: Size, native: Size) -> Detections:
    """Boxes in pixels of an input of `size` (height, width), in pixels of the picture of `native` that it shows."""
    return found.resized(shown_size(native, size), native)
