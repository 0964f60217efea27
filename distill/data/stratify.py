"""Class-stratified choices, deterministic in their seed. NumPy only; `distill.data.splits` has them for torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distill.errors import InvalidConfig
from distill.held_out import held_out

Indices = NDArray[np.int64]
HOLD_OUT, HOLD_OUT_SEED = 0.2, 0  # the test split of a dataset that has none


def split(labels: Indices, fraction: float, seed: int) -> tuple[Indices, Indices]:
    """(kept, held out), each ascending: of every class round(n_c * fraction) samples are held out, but at least one
    and never the last (a class of one sample is kept whole)."""
    if not 0 < fraction < 1:
        raise InvalidConfig(f"A hold-out of {fraction} is no fraction between 0 and 1.", "Give for example 0.1.")
    generator = np.random.default_rng(seed)
    held = [
        members[generator.permutation(len(members))[: held_out(len(members), fraction)]] for members in _classes(labels)
    ]
    out = np.sort(np.concatenate([np.zeros(0, np.int64), *held]))
    kept = np.setdiff1d(np.arange(len(labels)), out, assume_unique=True)
    return kept.astype(np.int64), out


def rarest(counts: NDArray[np.int64]) -> Indices:
    """(n, C) how much of each class each sample has -> (n,) strata: the class that the fewest samples have, C for a
    sample of none (**our choice**: a sample has many classes, and a split that holds the rare ones holds the common
    ones too)."""
    there = counts > 0
    found = np.where(there, there.sum(0), np.iinfo(np.int64).max).argmin(1)
    strata: Indices = np.where(there.any(1), found, counts.shape[1]).astype(np.int64)
    return strata


def sample(labels: Indices, n: int, seed: int) -> Indices:
    """At most `n` indices, ascending: the same number of every class, all of a class that has fewer
    (docs/methods.md, section 1). The number is the largest for which the sum stays within `n`, so fewer than `n` come
    back where `n` is no multiple of the classes. Raises `InvalidConfig` where `n` is less than one sample a class."""
    generator = np.random.default_rng(seed)
    classes = _classes(labels)
    if n < len(classes):
        raise InvalidConfig(
            f"A sample of {n} cannot hold each of the {len(classes)} classes.", f"Ask for at least {len(classes)}."
        )
    quota = _quota([len(members) for members in classes], n)
    chosen = [members[generator.permutation(len(members))[:quota]] for members in classes]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *chosen]))


def _quota(counts: list[int], n: int) -> int:
    """The largest q with sum_c min(n_c, q) <= n."""
    low, high = 0, max(counts, default=0)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if sum(min(count, middle) for count in counts) <= n else (low, middle - 1)
    return low


def _classes(labels: Indices) -> list[Indices]:
    order = np.argsort(labels, kind="stable")
    _, starts = np.unique(labels[order], return_index=True)
    return [part.astype(np.int64) for part in np.split(order, starts[1:])] if len(labels) else []
