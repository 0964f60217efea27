"""A `torch.save` file to safetensors: scanned without torch, then loaded by torch as data only, then written."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.converter.limits import ConverterLimits
from worker.converter.pickle_values import DTYPES
from worker.converter.refusal import refuse, shown
from worker.converter.state_dict import Found, find
from worker.converter.torch_file import scan_legacy, scan_zip
from worker.converter.writer import encode_header, lay_out

if TYPE_CHECKING:
    import torch


def convert_torch(path: Path, out: Path, limits: ConverterLimits, *, zipped: bool) -> tuple[int, tuple[str, ...]]:
    """Write the state dict of the file at `path` to `out`; (tensors, notes). Raises `InvalidTeacher`.

    torch is imported only after the scan has accepted the file, and gives bytes only: names, shapes and dtypes are
    the scan's, and torch's must be the same.
    """
    value = scan_zip(path, limits) if zipped else scan_legacy(path, limits)
    found = find(value, limits, path.stat().st_size)
    _write(_load(path, found, zipped), found, out)
    return len(found.tensors), found.notes


def _load(path: Path, found: Found, zipped: bool) -> dict[Any, Any]:
    import torch

    try:
        value = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except (pickle.UnpicklingError, RuntimeError, ValueError, TypeError, KeyError, EOFError, AttributeError) as error:
        refuse(f"torch.load refused it: {type(error).__name__}: {shown(error)}")
    for key in found.path:
        value = dict.__getitem__(value, key)
    assert isinstance(value, dict)
    return value


def _write(loaded: dict[Any, Any], found: Found, out: Path) -> None:
    plan = {name: (tensor.dtype, tensor.shape, tensor.bytes) for name, tensor in found.tensors.items()}
    entries = lay_out(plan)
    with out.open("wb") as file:
        file.write(encode_header(entries))
        for name, (dtype, shape, begin, end) in entries.items():
            data = _bytes(dict.__getitem__(loaded, name), dtype, shape)
            assert data.nbytes == end - begin
            file.write(data)


def _bytes(tensor: Any, dtype: str, shape: tuple[int, ...]) -> memoryview:
    """The tensor's elements in order, as bytes; a copy only where they do not lie in order."""
    import torch

    plain = type(tensor) in (torch.Tensor, torch.nn.Parameter) and tensor.layout == torch.strided
    if not plain or tensor.device.type != "cpu" or _dtype(tensor) != dtype or tuple(tensor.shape) != shape:
        refuse("torch reads a tensor otherwise than it is described")
    flat = tensor.detach().contiguous().reshape(-1)
    return memoryview(flat.view(torch.uint8).numpy())


def _dtype(tensor: torch.Tensor) -> str | None:
    return DTYPES.get(str(tensor.dtype).removeprefix("torch."))
