"""Which settings of optimizer and schedule go together. Torch-free: a run asks it, and the API before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from distill.errors import InvalidConfig
from distill.types import DistillConfig


@dataclass(frozen=True, slots=True)
class Facts:
    """What an optimizer has: `momentum`, `nesterov`: whether the setting of that name is one of its own; `refused`:
    why it cannot run here, as the end of a sentence; empty: it can. `state`: values that it keeps for each one of a
    square matrix, without its momentum being set to 0."""

    momentum: bool = False
    nesterov: bool = False
    refused: str = ""
    state: float = 2.0

    def kept(self, config: DistillConfig) -> float:
        """Values that it keeps for each trained one under these settings."""
        return 0.0 if self == OWN["sgd"] and config.momentum == 0 else self.state


OWN = {"adamw": Facts(), "sgd": Facts(momentum=True, nesterov=True, state=1.0)}
"""torch's own, which every worker has; the others are timm's, as workers publish them."""
LIKE_ADAMW = frozenset(
    {"adamw", "adam", "adamwlegacy", "nadam", "nadamw", "nadamlegacy", "radam", "radamw", "radamlegacy"}
)
"""Optimizers whose steps are of AdamW's size, so that its rates hold for them (**our choice**)."""
LIKE_SGD = frozenset({"sgd", "momentum", "nesterov", "sgdw", "nesterovw"})
"""The same for SGD with momentum."""
DECOUPLED = frozenset({"adamw", "adamwlegacy", "nadamw", "radamw"})
"""Of both those whose weight decay is no part of the gradient."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A setting that contradicts another one."""

    field: str
    message: str
    remedy: str


def runnable(entry: Mapping[str, Any]) -> Facts:
    """Of a catalogue's entry, {name, momentum, nesterov, refused}. Raises `InvalidConfig` for an optimizer that cannot
    run here."""
    if entry["refused"]:
        message = f"The optimizer {entry['name']} cannot run here: {entry['refused']}."
        raise InvalidConfig(message, "Use adamw, sgd or another of the catalogue's.", {"field": "optimizer"})
    return Facts(
        entry["momentum"], entry["nesterov"], state=entry.get("state", Facts().state)
    )  # older workers tell none


def refusals(config: DistillConfig, facts: Facts, modality: str) -> Iterator[Refused]:
    """What cannot be meant. `facts`: of the optimizer; `modality`: of the task."""
    yield from _of_optimizer(config, facts)
    yield from _of_schedule(config)
    yield from _of_mixing(config)
    yield from _of_skew(config)
    known = LIKE_ADAMW | LIKE_SGD if modality == "images" else LIKE_ADAMW
    if config.learning_rate == "auto" and config.optimizer not in known:
        message = f"No learning rate is known for the optimizer {config.optimizer} on {modality}."
        yield Refused("learning_rate", message, f"Give learning_rate; auto is for {', '.join(sorted(known))}.")


def _of_optimizer(config: DistillConfig, facts: Facts) -> Iterator[Refused]:
    name = config.optimizer
    if config.momentum != "auto" and not facts.momentum:
        yield Refused("momentum", f"The optimizer {name} has no momentum.", "Leave momentum out, or use sgd.")
    if config.nesterov is True and not facts.nesterov:
        message = f"The optimizer {name} has no choice of Nesterov's momentum."
        yield Refused("nesterov", message, "Leave nesterov out, or use sgd.")
    elif config.nesterov is True and config.momentum == 0:
        message = "Nesterov's momentum is none where momentum is 0."
        yield Refused("nesterov", message, "Give a momentum above 0, or leave nesterov out.")


def _of_mixing(config: DistillConfig) -> Iterator[Refused]:
    for name in ("mixup", "cutmix"):
        if getattr(config, name) and config.batch_size == 1:
            message = f"{name} mixes pictures of one batch, and a batch of 1 has no other."
            yield Refused(name, message, f"Leave {name} out, or take a larger batch_size.")


def _of_skew(config: DistillConfig) -> Iterator[Refused]:
    if config.sampling == "balanced" and config.class_weights in ("balanced", "effective_number"):
        message = "An epoch that draws the classes evenly has no skew left for class_weights to mend."
        yield Refused("class_weights", message, "Leave class_weights or sampling out, or give weights by name.")


def _of_schedule(config: DistillConfig) -> Iterator[Refused]:
    schedule, milestones = config.schedule, config.milestones
    if schedule != "multi_step":
        for name in ("milestones", "gamma"):
            if getattr(config, name) != DistillConfig.model_fields[name].default:
                message = f"The schedule {schedule} has no {name}."
                yield Refused(name, message, f'Leave {name} out, or set schedule to "multi_step".')
    elif milestones != "auto" and not _rising(milestones, config.epochs):
        message = f"The milestones {milestones} do not rise to below {config.epochs}, the epochs."
        remedy = 'Give the epochs after which the rate falls, in order, below the last; "auto" takes shares of them.'
        yield Refused("milestones", message, remedy)


def _rising(milestones: list[float], epochs: int) -> bool:
    return all(a < b for a, b in zip(milestones, [*milestones[1:], epochs], strict=True))
