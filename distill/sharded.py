"""What cannot be trained in shares on several processes (`distill.training.sharding`). Torch-free: a run asks it, and
the API before it."""

from __future__ import annotations

from collections.abc import Iterator

from distill import recipes
from distill.errors import InvalidConfig
from distill.optimisation import Refused
from distill.types import DistillConfig, RunSpec

ELEMENTWISE = ("adamw", "lion", "sgd")
"""Optimizers of which every value steps by itself, so that a share of a matrix steps as in the whole; seen to."""


def refusals(config: DistillConfig) -> Iterator[Refused]:
    """What of the configuration cannot be trained in shares."""
    whole = "or leave resources.sharding out."
    if config.recipe in recipes.names() and config.recipe not in recipes.without("live_teacher"):
        message = f"{config.recipe} runs parts of the teacher by themselves, whose weights lie in shares."
        yield Refused("recipe", message, f"Choose another recipe, {whole}")
    if config.optimizer not in ELEMENTWISE:
        message = f"Networks in shares were not compared under {config.optimizer}, which may need whole matrices."
        yield Refused("optimizer", message, f"Choose one of {', '.join(ELEMENTWISE)}, {whole}")
    if config.compile is True:
        message = "Networks in shares are not compiled."
        yield Refused("compile", message, f"Leave compile out, {whole}")
    if config.channels_last is True:
        message = "Shares of kernels have no channels_last layout."
        yield Refused("channels_last", message, f"Leave channels_last out, {whole}")


def check(spec: RunSpec) -> None:
    """Raise `InvalidConfig` for the first."""
    for found in refusals(spec.config) if spec.sharding == "full" else ():
        raise InvalidConfig(found.message, found.remedy, {"field": found.field})
