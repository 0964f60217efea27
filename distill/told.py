"""How a teacher sees pictures: as told at registration, else by its file's header, else by a default. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distill.errors import InvalidTeacher
from distill.types import TeacherPreprocessing
from distill.warned import RunWarning

REMEDY = "Give preprocessing (mean, std, input_size) as it was trained with when you register the teacher."


def told_view(given: TeacherPreprocessing, in_channels: int) -> dict[str, Any]:
    """The arguments of a `Preprocessing` that were told. Raises `InvalidTeacher` for another number of channels than
    the network takes."""
    told = given.told()
    for name in ("mean", "std"):
        if len(told.get(name, range(in_channels))) != in_channels:
            raise InvalidTeacher(
                f"preprocessing.{name} has {len(told[name])} values, and the weights take {in_channels} channels.",
                f"Give {in_channels}.",
                {"field": f"preprocessing.{name}", "channels": in_channels},
            )
    if told.get("channel_order") == "BGR" and in_channels != 3:
        raise InvalidTeacher(
            f"preprocessing.channel_order is BGR, and the weights take {in_channels} channels.",
            "Leave channel_order out.",
            {"field": "preprocessing.channel_order", "channels": in_channels},
        )
    size = told.pop("input_size", None)
    if size is not None:
        told["size"] = (size, size) if isinstance(size, int) else tuple(size)
    if "crop_pct" in told:
        told["crop"] = told.pop("crop_pct")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}


def assumed(view: Mapping[str, Any], native: Sequence[int] | None) -> RunWarning | None:
    """A warning where mean and std of `view` are a default (`view["origin"]`) that was made for larger pictures than
    the dataset's, all of `native` = (h, w)."""
    if view["origin"] != "default" or native is None or max(native) >= min(view["size"]):
        return None
    mean, std = (", ".join(f"{value:g}" for value in view[name]) for name in ("mean", "std"))
    return RunWarning(
        "preprocessing_assumed",
        f"How the teacher sees pictures was not told: its architecture's default was assumed (mean {mean}; std {std}), "
        f"which is for {view['size'][0]} x {view['size'][1]} pixels, and the dataset has {native[0]} x {native[1]}.",
        REMEDY,
        {"mean": list(view["mean"]), "std": list(view["std"]), "size": list(view["size"]), "native": list(native)},
    )
