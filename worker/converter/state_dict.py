"""Find the state dict in what a checkpoint holds: itself, or under one of the usual keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from worker.converter.limits import ConverterLimits
from worker.converter.pickle_values import Tensor
from worker.converter.refusal import refusal, refuse, shown

WRAPPERS = (
    "state_dict", "model_state_dict", "model", "model_state", "net", "network", "module", "teacher",
    "weights", "params", "checkpoint", "student", "backbone", "state_dict_ema", "model_ema", "ema_state_dict", "ema",
)  # fmt: skip
"""Keys under which training scripts keep the weights, best first (our choice: the weights before their average)."""
_DEEPEST = 3


@dataclass(frozen=True, slots=True)
class Found:
    """`path`: the keys that lead to the state dict; `tensors`: its tensors by name."""

    path: tuple[str, ...]
    tensors: dict[str, Tensor]
    notes: tuple[str, ...]


def find(value: Any, limits: ConverterLimits, input_bytes: int) -> Found:
    """The state dict within `value` (from `pickle_scan`). Raises `InvalidTeacher` when there is none that is plain.

    Looks at most two wrappers deep; tensors that stand beside a wrapper (metrics, random states) are left out and
    noted, as are a state dict's entries that are no tensors. Names stay as they are: `distill.models.checkpoint` knows
    the network's. All tensors together may have 4 times the file's bytes (tied weights are written once each), at most
    `limits.output_bytes`.
    """
    path, table, notes = _unwrap(value)
    kept = {key: entry for key, entry in table.items() if isinstance(entry, Tensor)}
    if len(kept) < len(table):
        left = ", ".join(shown(key) for key in list(table)[:1000] if key not in kept)
        notes.append(f"Left out, as they are no tensors: {left[:300]}.")
    _check_names(kept, limits)
    total = sum(tensor.bytes for tensor in kept.values())
    if total > min(limits.output_bytes, 4 * input_bytes):
        refuse(f"its tensors would take {total} bytes, from a file of {input_bytes}", bytes=total)
    shared = len(kept) - len({tensor.storage.key for tensor in kept.values()})
    if shared:
        notes.append(f"{shared} of {len(kept)} tensors shared memory with others; each is written on its own.")
    return Found(path, kept, tuple(notes))


def _unwrap(value: Any) -> tuple[tuple[str, ...], dict[Any, Any], list[str]]:
    path: list[str] = []
    notes: list[str] = []
    while isinstance(value, dict) and len(path) < _DEEPEST:
        found = [key for key in WRAPPERS if _holds(value.get(key), _DEEPEST - 1 - len(path))]
        if not found:
            break
        others = f" (it also holds {', '.join(found[1:])})" if found[1:] else ""
        notes.append(f"The weights were taken from {found[0]!r}{others}.")
        beside = [shown(key) for key, entry in list(value.items())[:1000] if isinstance(entry, Tensor)]
        if beside:
            notes.append(f"Left out, as they stand beside the weights: {', '.join(beside)[:300]}.")
        path.append(found[0])
        value = value[found[0]]
    if isinstance(value, dict) and _has_tensors(value):
        return tuple(path), value, notes
    raise refusal(f"it holds no state dict, neither itself nor under {', '.join(WRAPPERS)}")


def _holds(value: Any, depth: int) -> bool:
    """Is it a state dict, or a wrapper of one?"""
    if not isinstance(value, dict):
        return False
    return _has_tensors(value) or (depth > 0 and any(_holds(value.get(key), depth - 1) for key in WRAPPERS))


def _has_tensors(table: dict[Any, Any]) -> bool:
    return any(isinstance(entry, Tensor) for entry in table.values())


def _check_names(table: dict[Any, Tensor], limits: ConverterLimits) -> None:
    if len(table) > limits.tensors:
        refuse(f"it holds {len(table)} tensors, more than {limits.tensors}")
    for name in table:
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= limits.name_length:
            refuse(f"the tensor name {shown(name)} is empty, too long or not printable")
    if "__metadata__" in table:
        refuse("a tensor's name is reserved")
