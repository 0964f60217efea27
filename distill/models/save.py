"""A module's weights as a safetensors file that says what it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from torch import Tensor, nn

from distill.errors import InvalidConfig


def save(model: nn.Module, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write the state dict to `path`, complete or not at all.

    Tensors are stored contiguous on their own, tied ones once per name, so the file's names are the state dict's.
    `metadata` (strings) goes into the header; by convention `architecture` holds `Architecture.model_dump_json()`.
    """
    save_tensors(model.state_dict(), path, metadata)


def save_tensors(state: Mapping[str, Tensor], path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """As `save`, for named tensors."""
    metadata = {"format": "pt", **(metadata or {})}
    if not all(isinstance(key, str) and isinstance(value, str) for key, value in metadata.items()):
        raise InvalidConfig("Checkpoint metadata must map strings to strings.", "Encode other values as JSON.")
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    part = Path(f"{path}.part")
    try:
        safetensors.torch.save_file(tensors, part, metadata=metadata)
        _sort_metadata(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _sort_metadata(path: Path) -> None:
    """safetensors writes metadata in random order; sorted, the same student gives the same file and sha256."""
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= size:
            file.seek(8)
            file.write(text.ljust(size))
