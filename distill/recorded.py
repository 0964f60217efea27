"""What a checkpoint's header says of how its network was trained. Our exporter writes it; so may anybody else, in any
form. No torch, so that an inspection and the API refuse what a run would refuse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from distill.errors import InvalidTeacher

_INTERPOLATIONS = frozenset({"nearest", "bilinear", "bicubic"})
_ORDERS = ("RGB", "BGR")
_LARGEST_SIDE = 4096
_LARGEST_VALUE = 65535
_REMEDY = "Remove the metadata entry `preprocessing`, or write it as Retort's exporter does."


def recorded_view(metadata: Mapping[str, str], in_channels: int) -> dict[str, Any] | None:
    """`read_view` of the header's `preprocessing`; None where it has none. Raises `InvalidTeacher` also for one that
    shows the network another number of channels than it takes."""
    if "preprocessing" not in metadata:
        return None
    how = read_view(metadata["preprocessing"])
    if how["channels"] != in_channels:
        what = f"The file's header has a preprocessing to {how['channels']} channels, and its weights take"
        raise InvalidTeacher(f"{what} {in_channels}.", _REMEDY)
    return how


def read_view(text: str) -> dict[str, Any]:
    """The arguments of a `Preprocessing`. Raises `InvalidTeacher` for a text that does not hold one."""
    try:
        how = _fields(json.loads(text))
        sound = _sound(how)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise _unreadable() from error
    if not sound:
        raise _unreadable()
    return how


def _fields(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "mean": tuple(map(float, data["mean"])),
        "std": tuple(map(float, data["std"])),
        "size": (int(data["size"][0]), int(data["size"][1])),
        "interpolation": data["interpolation"],
        "channels": int(data["channels"]),
        "crop": float(data["crop"]),
        "pixel_range": _pixel_range(data.get("pixel_range")),
        "channel_order": data.get("channel_order", "RGB"),
    }


def _pixel_range(found: Any) -> tuple[int, int] | None:
    if found is None:
        return None
    low, high = map(int, found)
    return low, high


def _sound(how: dict[str, Any]) -> bool:
    numbers = len(how["mean"]) == len(how["std"]) == how["channels"]
    numbers = numbers and all(map(isfinite, how["mean"])) and all(isfinite(value) and value > 0 for value in how["std"])
    sides = all(0 < side <= _LARGEST_SIDE for side in how["size"])
    between = how["pixel_range"]
    rising = between is None or 0 <= between[0] < between[1] <= _LARGEST_VALUE
    known = how["interpolation"] in _INTERPOLATIONS and how["channel_order"] in _ORDERS
    return numbers and sides and rising and known and 0 < how["crop"] <= 1


def recorded_recipe(metadata: Mapping[str, str]) -> str:
    """The recipe that the exporter wrote; empty for a header without one, or with one of somebody else's. (It is only
    shown, so nothing is refused for it.)"""
    try:
        recipe = json.loads(metadata.get("recipe", '""'))
    except (ValueError, RecursionError):
        return ""
    return recipe if isinstance(recipe, str) else ""


def recorded_classes(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """The class names that the exporter wrote, by number; () for a header without, or with somebody else's."""
    try:
        names = json.loads(metadata.get("classes", "[]"))
    except (ValueError, RecursionError):
        return ()
    known = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if known else ()


def recorded_task(metadata: Mapping[str, str]) -> str:
    """The name of the task that the exporter wrote; empty for a header without, or with somebody else's."""
    try:
        name = json.loads(metadata.get("task", '""'))
    except (ValueError, RecursionError):
        return ""
    return name if isinstance(name, str) else ""


def _unreadable() -> InvalidTeacher:
    return InvalidTeacher("The file's header has a preprocessing that cannot be read.", _REMEDY)
