"""How many pairs of layers a job distils: as many as were asked for, or what teacher and student have. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from distill.errors import InvalidConfig
from distill.types import USUAL_LAYERS, DistillConfig


@dataclass(frozen=True, slots=True)
class Side:
    """A network that takes part in the pairs: `role` is student or teacher, `available` how many layers there are to
    choose from; `architecture`: its name."""

    role: str
    architecture: str
    available: int


def number_of_layers(config: DistillConfig, sides: Iterable[Side]) -> tuple[int, str]:
    """How many pairs are distilled, and why. A number that was left out follows the networks. Raises `InvalidConfig`
    for one that was given and that a side does not have."""
    fewest = min(sides, key=lambda side: side.available)
    if config.layers != "auto":
        if (refused := too_few(config, fewest)) is not None:
            raise refused
        return config.layers, f"{config.layers}, as given"
    found = usual(fewest.available)
    if found < USUAL_LAYERS:
        return found, f"{found} in place of {USUAL_LAYERS}: the {fewest.role} {fewest.architecture} has no more"
    return found, f"{found}: no number was given"


def usual(available: int) -> int:
    """How many are distilled of so many where nobody gave a number."""
    return min(USUAL_LAYERS, available)


def too_few(config: DistillConfig, side: Side) -> InvalidConfig | None:
    """The refusal of a number of layers that a network does not have; None where it has so many, or is `auto`."""
    if config.layers == "auto" or side.available >= config.layers:
        return None
    return InvalidConfig(
        f"{config.layers} layers are to be distilled, but the {side.role} {side.architecture} has {side.available}.",
        f"Set layers to {side.available} or less, leave it out, or name {side.role}_layers.",
        {"field": "layers", "layers": config.layers, "available": side.available, "side": side.role},
    )
