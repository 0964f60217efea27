"""What `auto` becomes in the settings of optimizer and schedule."""

from __future__ import annotations

from distill.optimisation import DECOUPLED, LIKE_ADAMW, LIKE_SGD
from distill.training import optimizers
from distill.training.plan import Descent, Length
from distill.training.schedule import BETA_HIGH, BETA_LOW
from distill.types import DistillConfig

Reasons = dict[str, str]
MOMENTUM = 0.9
DECAY, COUPLED_DECAY = 0.01, 5e-4  # of arXiv 2511.14981 for AdamW; RepDistiller's for SGD
MILESTONES = (5 / 8, 3 / 4, 7 / 8)  # RepDistiller's 150, 180 and 210 of 240 epochs
WARM_UPS = {"one_cycle": 0.3, "cosine": 0.05, "multi_step": 0.0, "constant": 0.0}
"""Of one_cycle arXiv 2511.14981's; the others are **our choice**."""


def descent(config: DistillConfig, length: Length) -> tuple[Descent, Reasons]:
    """How the optimizer steps, and why so, by field."""
    decay, why_decay = _weight_decay(config)
    up, why_up = _warmup_fraction(config)
    momentum, why_momentum = _momentum(config)
    nesterov, why_nesterov = _nesterov(config)
    milestones, why_milestones = _milestones(config, length)
    reasons = why_decay | why_up | why_momentum | why_nesterov | why_milestones
    return Descent(decay, up, momentum, nesterov, milestones), reasons


def _weight_decay(config: DistillConfig) -> tuple[float, Reasons]:
    if config.weight_decay != "auto":
        return config.weight_decay, {}
    if config.optimizer in (LIKE_ADAMW | LIKE_SGD) - DECOUPLED:
        return COUPLED_DECAY, {"weight_decay": f"{COUPLED_DECAY:g}: RepDistiller's, where the decay joins the gradient"}
    ours = "" if config.optimizer == "adamw" else " (our choice)"
    return DECAY, {"weight_decay": f"{DECAY:g}, as for AdamW{ours}"}


def _warmup_fraction(config: DistillConfig) -> tuple[float, Reasons]:
    if config.warmup_fraction != "auto":
        return config.warmup_fraction, {}
    share = WARM_UPS[config.schedule]
    whose = "the published share" if config.schedule == "one_cycle" else "our choice"
    return share, {"warmup_fraction": f"{share:g} of the steps under {config.schedule} ({whose})"}


def _momentum(config: DistillConfig) -> tuple[float | None, Reasons]:
    if config.momentum != "auto":
        return config.momentum, {}
    if optimizers.cycled(config) == "momentum":
        between = f"from {BETA_HIGH:g} to {BETA_LOW:g} and back, against the learning rate, as torch's OneCycleLR"
        return BETA_HIGH, {"momentum": between}
    if not optimizers.facts(config.optimizer).momentum:
        return None, {}
    return MOMENTUM, {"momentum": f"{MOMENTUM:g}, timm's and RepDistiller's"}


def _nesterov(config: DistillConfig) -> tuple[bool | None, Reasons]:
    if config.nesterov != "auto":
        return config.nesterov if optimizers.facts(config.optimizer).nesterov else None, {}
    if config.optimizer == "sgd":
        return False, {"nesterov": "torch's and RepDistiller's"}
    return None, {}  # an optimizer by timm's name is what timm means by it


def _milestones(config: DistillConfig, length: Length) -> tuple[tuple[float, ...] | None, Reasons]:
    if config.schedule != "multi_step":
        return None, {}
    if config.milestones != "auto":
        return tuple(config.milestones), {}
    epochs = length.total_steps / length.steps_per_epoch
    return tuple(round(share * epochs, 3) for share in MILESTONES), {
        "milestones": f"5/8, 3/4 and 7/8 of {epochs:g} epochs, as RepDistiller's 150, 180 and 210 of 240"
    }
