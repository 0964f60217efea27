"""Which samples a curve is computed on, and the key under which it may be reused."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from torch import Tensor

from distill.errors import InvalidConfig

DEFINITION = 1  # raise when a change to the library changes the values of a curve


def stratified_sample(labels: Tensor, samples: int, seed: int) -> Tensor:
    """Indices (n,) of a class-stratified sample, ascending, drawn without replacement.

    Every class gets `samples // C` (at least one: **our choice**), fewer where it has fewer, so n <= max(samples, C).
    """
    if samples < 2:
        raise InvalidConfig(f"A sample of {samples} cannot be scored.", "Ask for at least 2 samples.")
    labels = labels.cpu()
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(len(labels), generator=generator)
    _, inverse, counts = torch.unique(labels[shuffled], return_inverse=True, return_counts=True)
    order = torch.argsort(inverse, stable=True)
    rank = torch.arange(len(labels)) - (torch.cumsum(counts, 0) - counts)[inverse[order]]
    return shuffled[order[rank < max(samples // len(counts), 1)]].sort().values


def digest(teacher: str, data: str, labels: Tensor, indices: Tensor, **parameters: Any) -> str:
    """sha256 (hex) of everything a curve depends on: a curve with the same digest is the same curve.

    `teacher`: digest of the weights and the architecture's name and options; `data`: digest of the dataset;
    `labels` (n,) and `indices` (n,): of the sampled training images, in order; `parameters`: JSON-serialisable
    (train size, seed, image size, precision, layer names, memory budget, bootstrap replicates).
    """
    head = {"definition": DEFINITION, "teacher": teacher, "data": data, "parameters": parameters}
    state = hashlib.sha256(json.dumps(head, sort_keys=True, separators=(",", ":")).encode())
    for values in (labels, indices):
        state.update(len(values).to_bytes(8, "big"))
        state.update(values.to(dtype=torch.int64, device="cpu").contiguous().numpy().tobytes())
    return state.hexdigest()
