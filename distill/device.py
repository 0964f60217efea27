"""Which device a run uses, and why."""

from __future__ import annotations

import torch

from distill.errors import InvalidConfig


def resolve_device(wanted: str = "auto") -> tuple[torch.device, str]:
    """The torch device for `auto`, `cpu`, `cuda` or `cuda:N`, and the reason in words.

    `auto` takes the first CUDA device there is, else the CPU. Raises `InvalidConfig` for a device that this machine
    does not have or that is not one of those names.
    """
    if wanted == "auto":
        return _automatic()
    if wanted == "cpu":
        return torch.device("cpu"), "asked for"
    return _cuda(wanted), "asked for"


def _automatic() -> tuple[torch.device, str]:
    if torch.cuda.is_available():
        return torch.device("cuda", 0), f"first CUDA device: {torch.cuda.get_device_name(0)}"
    return torch.device("cpu"), "no CUDA device is visible"


def _cuda(wanted: str) -> torch.device:
    kind, _, number = wanted.partition(":")
    if kind != "cuda" or not (number == "" or (number.isascii() and number.isdigit())):
        raise InvalidConfig(f"{wanted!r} names no device.", "Use auto, cpu, cuda or cuda:N.", {"device": wanted})
    index, count = int(number or 0), torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        raise InvalidConfig(
            f"This machine has {count} CUDA devices, so there is no {wanted!r}.",
            "Use auto, or a device that the worker has.",
            {"device": wanted, "devices": count},
        )
    return torch.device("cuda", index)
