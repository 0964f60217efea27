"""Other colours for images with boxes, by torchvision v2."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

# isort: split
import distill.torchvision_shim  # noqa: F401

# isort: split
from torchvision.transforms import v2

_SEEDS = 2**24  # float32 in [0, 1) holds 24 bits


def recoloured(pictures: Sequence[Image.Image], number: float) -> list[Image.Image]:
    """Brightness, contrast and saturation times 0.7 to 1.3, hues turned by up to 2 % of the circle (torchvision's
    ColorJitter; **our choice** of strength); for all pictures alike. `number` in [0, 1) says how; torch's global
    generator is left alone."""
    jitter = v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.02)
    state = torch.random.get_rng_state()
    try:
        return [_one(jitter, picture, number) for picture in pictures]
    finally:
        torch.random.set_rng_state(state)


def _one(jitter: v2.ColorJitter, picture: Image.Image, number: float) -> Image.Image:
    # v2 draws from the global CPU generator only; seeding that one alone keeps CUDA's untouched.
    torch.default_generator.manual_seed(int(number * _SEEDS))
    out: Image.Image = jitter(picture)
    return out
