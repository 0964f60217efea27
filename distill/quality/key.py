"""The key under which a curve may be reused."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from torch import Tensor

DEFINITION = 1  # raise when a change to the library changes the values of a curve


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
