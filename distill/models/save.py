"""A module's weights as a safetensors file that says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from torch import nn

from distill.errors import InvalidConfig


def save(model: nn.Module, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write the state dict to `path`, complete or not at all.

    Tensors are stored contiguous on their own, tied ones once per name, so the file's names are the state dict's.
    `metadata` (strings) goes into the header; by convention `architecture` holds `Architecture.model_dump_json()`.
    """
    metadata = {"format": "pt", **(metadata or {})}
    if not all(isinstance(key, str) and isinstance(value, str) for key, value in metadata.items()):
        raise InvalidConfig("Checkpoint metadata must map strings to strings.", "Encode other values as JSON.")
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    part = Path(f"{path}.part")
    try:
        safetensors.torch.save_file(tensors, part, metadata=metadata)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
