"""The peak learning rate for `auto`: by optimizer, family and size of the student."""

from __future__ import annotations

from torch import nn

# Defaults of arXiv 2511.14981: the authors' code (Thegolfingocto/KDwoCE) looks them up by family and size. The families
# that it does not name are **our choice**.
PEAKS = {"residual": 7.5e-3, "plain": 5e-3}
# Published there for ViT-Ti, -S and -B. A size between two takes the nearer by the ratio of parameters,
# which is **our choice**; so is the last one for everything larger than B.
TRANSFORMER_PEAKS = {"Ti": (5.7e6, 1e-3), "S": (22e6, 5e-4), "B": (86e6, 1e-4)}
SGD_PEAKS, SGD_BATCH = {"depthwise": 0.01, "other": 0.05}, 64
"""Of SGD with momentum 0.9 for batches of 64: HobbitLong/RepDistiller, which has 0.01 for MobileNet and ShuffleNet.
For other batches in proportion (Goyal et al., arXiv 1706.02677), which is **our choice** here, as are at most 8 times,
and its use for transformers."""
SGD_MOST = 8.0
TAKEN = 0.3
"""Of `learning_rate`: the peak for weights that do not start from noise. **Our choice**: of an ImageNet network on
CIFAR-10 in 84 steps, one seed, 0.3 was level with 1 and a tenth cost 8 points
(benchmarks/results/teachers-imagenet.md)."""


def taken_learning_rate(rate: float) -> tuple[float, dict[str, str]]:
    """`backbone_learning_rate: auto` beside a peak of `rate`, with its reason."""
    return TAKEN * rate, {"backbone_learning_rate": f"{TAKEN * rate:g}, {TAKEN:g} of learning_rate (our choice)"}


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


def sgd_peak(student: nn.Module, batch: int) -> tuple[float, str]:
    """The same for SGD with momentum, for steps on `batch` samples."""
    kind = "depthwise" if any(_depthwise(module) for module in student.modules()) else "other"
    base, scale = SGD_PEAKS[kind], min(batch / SGD_BATCH, SGD_MOST)
    students = "students with depthwise convolutions" if kind == "depthwise" else "students"
    published = f"RepDistiller's {base:g} for {students} and batches of {SGD_BATCH}"
    rate = base * scale
    if scale == 1:
        return rate, f"{rate:g}, {published}"
    return rate, f"{rate:g}: {published}, times {scale:g} for batches of {batch} (our choice: in proportion)"


def _depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
