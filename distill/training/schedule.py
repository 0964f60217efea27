"""One-cycle schedule as a pure function of the step, and the peak learning rate by family and size of student."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

# Defaults of arXiv 2511.14981: the authors' code (Thegolfingocto/KDwoCE) looks them up by family and size. The families
# that it does not name are **our choice**.
PEAKS = {"residual": 7.5e-3, "plain": 5e-3}
# Published there for ViT-Ti, -S and -B. A size between two takes the nearer by the ratio of parameters,
# which is **our choice**; so is the last one for everything larger than B.
TRANSFORMER_PEAKS = {"Ti": (5.7e6, 1e-3), "S": (22e6, 5e-4), "B": (86e6, 1e-4)}
BETA_LOW, BETA_HIGH = 0.85, 0.95  # torch's OneCycleLR cycles AdamW's beta1 between these, against the learning rate
INITIAL_DIVISOR, FINAL_DIVISOR = 25.0, 1e4  # torch's OneCycleLR defaults


@dataclass(frozen=True)
class OneCycle:
    """Learning rate and beta1 at a step in 0..total_steps-1: cosine from peak/25 up to the peak, then down to
    peak/25/1e4; beta1 from 0.95 down to 0.85 and back. Equal to `torch.optim.lr_scheduler.OneCycleLR`, but stateless,
    so a resumed run needs only the step. `warmup_fraction` 0 starts at the peak."""

    peak: float
    total_steps: int
    warmup_fraction: float = 0.3

    def __call__(self, step: int) -> tuple[float, float]:
        start = self.peak / INITIAL_DIVISOR
        top = self.warmup_fraction * self.total_steps - 1
        if step <= top and top > 0:
            return _cosine(start, self.peak, step / top), _cosine(BETA_HIGH, BETA_LOW, step / top)
        top = max(top, 0.0)
        done = (step - top) / max(self.total_steps - 1 - top, 1)
        return _cosine(self.peak, start / FINAL_DIVISOR, done), _cosine(BETA_LOW, BETA_HIGH, done)


TAKEN = 0.3
"""Of `learning_rate`: the peak for weights that do not start from noise. **Our choice**: of an ImageNet network on
CIFAR-10 in 84 steps, one seed, 0.3 was level with 1 and a tenth cost 8 points
(benchmarks/results/teachers-imagenet.md)."""


def taken_learning_rate(rate: float) -> tuple[float, dict[str, str]]:
    """`backbone_learning_rate: auto` beside a peak of `rate`, with its reason."""
    return TAKEN * rate, {"backbone_learning_rate": f"{TAKEN * rate:g}, {TAKEN:g} of learning_rate (our choice)"}


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * done))


def family(student: nn.Module) -> str:
    """`transformer` (attention modules, or LayerNorm as the only norm), `plain` (VGG, AlexNet), else `residual`."""
    if any(name in type(student).__name__.lower() for name in ("vgg", "alexnet")):
        return "plain"
    kinds = {type(module).__name__ for module in student.modules()}
    if any("Attention" in kind for kind in kinds):
        return "transformer"
    has_batch_norm = any("BatchNorm" in kind for kind in kinds)
    return "transformer" if not has_batch_norm and any("LayerNorm" in kind for kind in kinds) else "residual"


def peak_learning_rate(student: nn.Module) -> tuple[float, str]:
    """The peak for `learning_rate: auto` and the reason for it; a network's parameters count with its classifier."""
    kind = family(student)
    if kind != "transformer":
        return PEAKS[kind], f"{PEAKS[kind]:g}, the published peak for {kind} students"
    parameters = sum(parameter.numel() for parameter in student.parameters())
    size = min(TRANSFORMER_PEAKS, key=lambda name: _ratio(parameters, TRANSFORMER_PEAKS[name][0]))
    published, peak = TRANSFORMER_PEAKS[size]
    near = f"{published / 1e6:g} million parameters, the published size nearest to {parameters / 1e6:.3g} million"
    return peak, f"{peak:g}, the published peak for transformers of size {size} ({near})"


def _ratio(size: float, other: float) -> float:
    """How many times the larger is the smaller, at least 1."""
    return max(size, other) / max(min(size, other), 1)
