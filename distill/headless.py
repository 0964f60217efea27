"""Which networks are built without a classifier too. Torch-free: a run asks it, and the API before it."""

from __future__ import annotations

from distill.vision_folder import NAMES


def headless(full_name: str) -> bool:
    """Whether networks of this name, its library given (`timm:resnet34`), are built with no classes as well."""
    return full_name.startswith("timm:") or full_name in NAMES
