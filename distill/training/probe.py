"""Times a few real steps of the actual recipe in each mode and chooses; leaves no trace in weights or generators."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from distill.layers.modes import clear_caches
from distill.recipe_parts.base import Recipe
from distill.recipe_parts.untaught import without_gradient
from distill.training.cache import Teacher
from distill.training.mode import Mode
from distill.training.rng import rng_kept
from distill.types import DistillConfig

# Measured on 2-core AMX and AVX-512-bf16 machines: channels_last with bf16 trains ResNets 1.8 to 2.5 times faster,
# MobileNetV2 1.8 times slower on one and 2.3 times faster on another, so it must be timed. torch.compile gains nothing
# on a CPU, so it is never timed there.
MIN_GAIN = 1.15  # a mode must be this much faster than plain fp32: below that it is timing noise
MIN_STEPS = 50  # shorter runs are not probed
MIN_RUN_SECONDS = 20.0  # nor runs that end sooner than this in plain fp32
BUDGET_SECONDS = 5.0  # or 1 % of the run, whichever is more
clock = time.perf_counter
COMPILE_RUN_SECONDS = 300.0  # compilation takes tens of seconds; only longer runs can win them back


@dataclass(frozen=True)
class Choice:
    """The student's and the teacher's modes, and the reason for each."""

    student: Mode
    teacher: Mode
    reasons: dict[str, str]


@dataclass(frozen=True)
class Example:
    """One training batch on the device."""

    student: Any
    teacher: Any
    labels: Tensor
    index: Tensor


def default_mode(config: DistillConfig) -> Mode:
    """What is used where nothing is probed: what the user fixed, else plain fp32."""
    precision = "fp32" if config.precision == "auto" else config.precision
    return Mode(precision, config.channels_last is True, config.compile is True)


def candidates(config: DistillConfig, module: nn.Module, device: torch.device, run_seconds: float) -> list[Mode]:
    """Modes worth timing, the default first, the likeliest winner next."""
    base = default_mode(config)
    formats = [True, False] if config.channels_last == "auto" and _convolutions(module) > 1 else [base.channels_last]
    half = fast_half(device)
    precisions = [half, "fp32"] if config.precision == "auto" and half else [base.precision]
    compiles = [base.compile]
    if config.compile == "auto" and device.type == "cuda" and run_seconds > COMPILE_RUN_SECONDS:
        compiles = [False, True]
    modes = [Mode(p, f, c) for c in compiles for p in precisions for f in formats]
    return [base, *(mode for mode in modes if mode != base)]


def _convolutions(module: nn.Module) -> int:
    return sum(isinstance(part, nn.Conv2d) for part in module.modules())


def fast_half(device: torch.device) -> str | None:
    """The half precision that the device multiplies in hardware: bf16 where it can, else fp16 on a GPU; None: none."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else None


def choose(recipe: Recipe, example: Example, config: DistillConfig, device: torch.device, total_steps: int) -> Choice:
    """The modes to train in. `recipe` comes back exactly as it was."""
    base = default_mode(config)
    teacher_base = replace(base, compile=False)
    if total_steps < MIN_STEPS:
        return _unprobed(base, f"{base}: {total_steps} steps are too few to be worth probing")
    with rng_kept(), untouched(recipe):
        step = _Step(recipe, example, device)
        baseline = step.seconds(base)
        run_seconds = baseline * total_steps
        if run_seconds < MIN_RUN_SECONDS:
            return _unprobed(base, f"{base}: the run takes about {run_seconds:.0f} s, too short to be worth probing")
        budget = max(BUDGET_SECONDS, run_seconds / 100)
        student, why = fastest(candidates(config, recipe, device, run_seconds), step.seconds, baseline, budget)
        if recipe.teacher is None:
            return Choice(student, teacher_base, {"student_mode": why})
        teacher, teacher_why = _choose_teacher(recipe, example, config, device, budget)
    return Choice(student, teacher, {"student_mode": why, "teacher_mode": teacher_why})


def untaught(recipe: Recipe, example: Example, mode: Mode, device: torch.device) -> list[str]:
    """Names of the student's trainable parameters that no loss reaches, by the gradients of one batch. `recipe` comes
    back exactly as it was."""
    with rng_kept(), untouched(recipe), mode.autocast(device):
        targets = recipe.told(Teacher(recipe, Mode(), device)(example.teacher), example.index)
        parts = recipe(example.student, example.labels, targets)
        return without_gradient(parts["loss"], recipe.exported()) if parts["loss"].requires_grad else []


def unprobed(config: DistillConfig, why: str) -> Choice:
    """What is used where nothing is timed."""
    mode = default_mode(config)
    return _unprobed(mode, f"{mode}: {why}")


def _unprobed(mode: Mode, why: str) -> Choice:
    return Choice(mode, replace(mode, compile=False), {"student_mode": why, "teacher_mode": why})


def _choose_teacher(
    recipe: Recipe, example: Example, config: DistillConfig, device: torch.device, budget: float
) -> tuple[Mode, str]:
    network = recipe.teacher
    assert network is not None

    def seconds(mode: Mode) -> float:
        mode.prepare(network)
        teacher = Teacher(recipe, mode, device)
        return _timed(lambda: teacher(example.teacher), device)

    fixed = config.model_copy(update={"compile": False})
    with untouched(network):
        modes = candidates(fixed, network, device, 0.0)
        return fastest(modes, seconds, seconds(modes[0]), budget)


def fastest(
    modes: Sequence[Mode], seconds: Callable[[Mode], float], baseline: float, budget: float
) -> tuple[Mode, str]:
    """The fastest mode, if at least MIN_GAIN faster than the first, and the measurements in words. Stops timing
    when the next mode might exceed `budget` seconds. The winner and the first are timed once more, and their better
    times count: a machine that was busy for a moment must not decide."""
    measured = {modes[0]: baseline}
    end = clock() + budget
    for mode in modes[1:]:
        if clock() + 3 * baseline > end:
            break
        measured[mode] = seconds(mode)
    best = min(measured, key=lambda mode: measured[mode])
    for mode in {modes[0], best} if len(measured) > 1 else ():
        measured[mode] = min(measured[mode], seconds(mode))
    baseline = measured[modes[0]]
    best = best if measured[best] * MIN_GAIN <= baseline else modes[0]
    times = ", ".join(f"{mode} {value * 1e3:.0f} ms" for mode, value in measured.items())
    return best, f"{best}: timed on this machine ({times} a batch; a change needs {MIN_GAIN:g} times)"


class _Step:
    """Whole training steps on one batch."""

    def __init__(self, recipe: Recipe, example: Example, device: torch.device) -> None:
        self.recipe, self.example, self.device = recipe, example, device
        self.targets = recipe.told(Teacher(recipe, Mode(), device)(example.teacher), example.index)

    def seconds(self, mode: Mode) -> float:
        mode.prepare(self.recipe)
        optimizer = torch.optim.AdamW(self.recipe.parameters(), lr=1e-6, fused=True)
        call = torch.compile(self.recipe) if mode.compile else self.recipe

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            with mode.autocast(self.device):
                parts = call(mode.layout(self.example.student), self.example.labels, self.targets)
            parts["loss"].backward()
            optimizer.step()

        return _timed(step, self.device)


def _timed(work: Callable[[], Any], device: torch.device, repeats: int = 2) -> float:
    """Seconds of the fastest of `repeats` runs after one to warm up."""
    work()
    best = float("inf")
    for _ in range(repeats):
        _wait(device)
        start = clock()
        work()
        _wait(device)
        best = min(best, clock() - start)
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """Inside, parameters and buffers are copies; after, the very tensors from before, strides and gradients included.
    Parameters in shares are themselves, and their gradients go.

    Copying values back would not do: a 1x1 kernel keeps channels_last strides through `.to(contiguous_format)`, and
    a convolution chooses its kernel by them, so a probed run would differ in rounding from a resumed one.
    """
    tensors = [*module.parameters(), *module.buffers()]
    before = [(tensor, tensor.data, tensor.grad) for tensor in tensors]
    for tensor, data, _ in before:
        tensor.grad = None
        if not isinstance(tensor, DTensor):
            tensor.data = data.clone()
    try:
        yield
    finally:
        for tensor, data, grad in before:
            if not isinstance(tensor, DTensor):
                tensor.data = data
            tensor.grad = grad
        clear_caches(module)
