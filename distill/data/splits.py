"""Class-stratified splits and samples for torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from distill.data import stratify

Labels = Tensor | Sequence[int]


def stratified_split(labels: Labels, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """(kept, held out) positions in `labels`, int64, ascending. Of every class of n_c samples round(n_c * fraction) are
    held out, at least one and never the last. Deterministic in `seed`. Raises `InvalidConfig`."""
    kept, held_out = stratify.split(_array(labels), fraction, seed)
    return torch.from_numpy(kept), torch.from_numpy(held_out)


def stratified_sample(labels: Labels, n: int, seed: int) -> Tensor:
    """At most `n` positions in `labels`, int64, ascending: the same number of every class, all of a class that has
    fewer (docs/methods.md, section 1). Deterministic in `seed`. Raises `InvalidConfig` where `n` is below the class
    count."""
    return torch.from_numpy(stratify.sample(_array(labels), n, seed))


def _array(labels: Labels) -> stratify.Indices:
    return np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels, dtype=np.int64)
