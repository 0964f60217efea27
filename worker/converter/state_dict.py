"""Find the state dict in what a checkpoint holds: itself, or under one of the usual keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from worker.converter.limits import ConverterLimits
from worker.converter.pickle_values import Tensor
from worker.converter.refusal import refusal, refuse, shown

WRAPPERS = (
    "state_dict", "model_state_dict", "model", "model_state", "net", "network", "module", "teacher",
    "weights", "params", "state_dict_ema", "model_ema", "ema_state_dict", "ema",
)  # fmt: skip
"""Keys under which training scripts keep the weights, best first (our choice: the weights before their average)."""

PREFIXES = ("module.", "_orig_mod.")
"""What DistributedDataParallel and torch.compile put before every name."""


@dataclass(frozen=True, slots=True)
class Found:
    """`path`: the keys that lead to the state dict; `tensors`: clean name -> (its key there, the tensor)."""

    path: tuple[str, ...]
    tensors: dict[str, tuple[str, Tensor]]
    notes: tuple[str, ...]


def find(value: Any, limits: ConverterLimits, input_bytes: int) -> Found:
    """The state dict within `value` (from `pickle_scan`). Raises `InvalidTeacher` when there is none that is plain.

    Looks at most two wrappers deep. Entries that are no tensors (epoch, metrics) are left out and noted; all tensors
    together may have 4 times the file's bytes (tied weights are written once each), at most `limits.output_bytes`.
    """
    path, table, notes = _unwrap(value)
    kept = {key: entry for key, entry in table.items() if isinstance(entry, Tensor)}
    if len(kept) < len(table):
        left = ", ".join(shown(key) for key in list(table)[:1000] if key not in kept)
        notes.append(f"Left out, as they are no tensors: {left[:300]}.")
    tensors = _clean(kept, limits, notes)
    total = sum(tensor.bytes for _, tensor in tensors.values())
    if total > min(limits.output_bytes, 4 * input_bytes):
        refuse(f"its tensors would take {total} bytes, from a file of {input_bytes}", bytes=total)
    shared = len(tensors) - len({tensor.storage.key for _, tensor in tensors.values()})
    if shared:
        notes.append(f"{shared} of {len(tensors)} tensors shared memory with others; each is written on its own.")
    return Found(path, tensors, tuple(notes))


def _unwrap(value: Any) -> tuple[tuple[str, ...], dict[Any, Any], list[str]]:
    path: list[str] = []
    notes: list[str] = []
    for _ in range(3):
        if not isinstance(value, dict):
            break
        if any(isinstance(entry, Tensor) for entry in value.values()):
            return tuple(path), value, notes
        found = [key for key in WRAPPERS if isinstance(value.get(key), dict) and value[key]]
        if not found:
            break
        others = f" (it also holds {', '.join(found[1:])})" if found[1:] else ""
        notes.append(f"The weights were taken from {found[0]!r}{others}.")
        path.append(found[0])
        value = value[found[0]]
    raise refusal(f"it holds no state dict, neither itself nor under {', '.join(WRAPPERS)}")


def _clean(table: dict[Any, Tensor], limits: ConverterLimits, notes: list[str]) -> dict[str, tuple[str, Tensor]]:
    if len(table) > limits.tensors:
        refuse(f"it holds {len(table)} tensors, more than {limits.tensors}")
    for name in table:
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= limits.name_length:
            refuse(f"the tensor name {shown(name)} is empty, too long or not printable")
    prefix = _common_prefix(list(table))
    if prefix:
        notes.append(f"The prefix {prefix!r} of all names was removed.")
    if prefix in table or "__metadata__" in table:
        refuse("a tensor's name is empty or reserved")
    return {name.removeprefix(prefix): (name, tensor) for name, tensor in table.items()}


def _common_prefix(names: list[str]) -> str:
    prefix = ""
    while longer := next((p for p in PREFIXES if all(name.startswith(prefix + p) for name in names)), ""):
        prefix += longer
    return prefix
