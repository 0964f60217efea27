"""How many samples the last fit of the classifier uses. Torch-free, since estimates reckon with it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

LEAST, SHARE_OF_TRAINING = 10_000, 0.1  # of the samples that training saw: so the pass costs a few per cent
LEAST_A_CLASS = 5
#: samples x features x classes: what one L-BFGS evaluation multiplies, a third of it
PRODUCT: Mapping[str, float] = MappingProxyType({"cpu": 5e9, "other": 5e11})


def most_in_time(available: int, seen: int, weights: int, device: str = "cpu") -> int:
    """How many of the `available` training samples to use after training saw `seen`, of a classifier with `weights`
    (features x classes): bounded in time, not in memory."""
    wanted = max(LEAST, int(SHARE_OF_TRAINING * seen))
    return min(available, wanted, int(PRODUCT.get(device, PRODUCT["other"]) // weights))
