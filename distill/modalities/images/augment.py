"""RandAugment (Cubuk et al. 2020) by torchvision v2, one sample at a time, each with its own seed."""

from __future__ import annotations

import torch
from torch import Tensor

# isort: split
import distill.torchvision_shim  # noqa: F401

# isort: split
from torchvision.transforms import v2

OPERATIONS, MAGNITUDE = 2, 9
_SEEDS = 2**24  # float32 in [0, 1) holds 24 bits


def randaugment(pixels: Tensor, numbers: Tensor) -> Tensor:
    """uint8 (n, c, h, w) and numbers (n) in [0, 1) -> uint8 (n, c, h, w). 2 operations of magnitude 9 of 31, the
    paper's and torchvision's defaults. Row i depends on numbers[i] alone; torch's global generator is left alone."""
    transform = v2.RandAugment(num_ops=OPERATIONS, magnitude=MAGNITUDE)
    state = torch.random.get_rng_state()
    try:
        return torch.stack([_one(transform, x, u) for x, u in zip(pixels, numbers.tolist(), strict=True)])
    finally:
        torch.random.set_rng_state(state)


def _one(transform: v2.RandAugment, pixels: Tensor, number: float) -> Tensor:
    # v2 draws from the global CPU generator only; seeding that one alone keeps CUDA's untouched.
    torch.default_generator.manual_seed(int(number * _SEEDS))
    out: Tensor = transform(pixels)
    return out
