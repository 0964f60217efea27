"""Decides what a training leaves to `auto`; a training that goes on takes what was decided when it began."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import torch

from distill import presets
from distill.optimisation import LIKE_SGD
from distill.recipe_parts.untaught import caution
from distill.training import cache, distributed
from distill.training.descending import descent
from distill.training.groups import told
from distill.training.head import fits
from distill.training.mode import Mode
from distill.training.peak import peak_learning_rate, sgd_peak, taken_learning_rate
from distill.training.plan import Resolved, check_same
from distill.training.probe import Choice, Example, choose, unprobed, untaught
from distill.training.training import Training
from distill.types import DistillConfig

T = TypeVar("T")


def resolve(training: Training) -> Resolved:
    """Replace every `auto`, with the reason for each choice, and note what no loss reaches. Several processes follow
    the first."""
    config, recipe = training.config, training.recipe
    example = training.example()
    choice = _modes(training, example)
    place = _cache_plan(training, choice.teacher, example, config.cache_teacher)
    rate, why = _learning_rate(training)
    backbone, why_backbone = _backbone_learning_rate(training, rate)
    fitting, why_fit = fits(config.fit_head, recipe.answer)
    how, why_how = descent(config, training.length)
    why_layers = told(recipe.exported(), config.layer_decay, rate)
    reasons = choice.reasons | why_backbone | why_layers | why_how | {
        "fit_head": why_fit,
        "learning_rate": why,
        "device": _device_reason(config, training.device),
        "cache_teacher": f"{place.place}: {place.reason}",
    }  # fmt: skip
    left_out = _on_all(training, lambda: untaught(recipe, example, choice.student, training.device))
    if left_out:
        training.cautions.append(caution(left_out, recipe.exported(), config.recipe))
        reasons["untaught"] = training.cautions[-1].message
    return Resolved(
        config, rate, str(training.device), choice.student, choice.teacher, place.place, _by_preset(config, reasons),
        torch.get_num_threads(), fitting, backbone, how,
    )  # fmt: skip


def resume(training: Training, saved: dict[str, Any]) -> Resolved:
    """The choices of the checkpoint `saved`. Only the place of the cached targets, which changes no number, follows the
    new machine. Raises `InvalidConfig` for a checkpoint of another configuration."""
    before = Resolved.from_dict(json.loads(saved["resolved"]))
    check_same(training.config, before.given)
    reasons = before.reasons | {"resume": f"continued at step {saved['step']} with the choices made then"}
    torch.set_num_threads(before.threads)
    place, student, teacher = before.cache, before.student, before.teacher
    if training.sharded:
        student, teacher = (replace(mode, channels_last=False, compile=False) for mode in (student, teacher))
    if place != "live":
        example = training.example()
        plan = cache.continued(_cache_plan(training, teacher, example, True))
        place, reasons["cache_teacher"] = plan.place, f"{plan.place}: {plan.reason}"
    return replace(
        before, given=training.config, device=str(training.device), cache=place, reasons=reasons,
        student=student, teacher=teacher,
    )  # fmt: skip


def _modes(training: Training, example: Example) -> Choice:
    """How the networks run: timed on the first process, unless no process has them whole."""
    config, recipe, steps = training.config, training.recipe, training.length.total_steps
    if training.sharded:
        return unprobed(config, "the networks lie in shares on several devices, so no other was timed")
    return distributed.agree(lambda: choose(recipe, example, config, training.device, steps))


def _on_all(training: Training, work: Callable[[], T]) -> T:
    """The first process's answer. Networks in shares run on all processes or on none."""
    if training.sharded:
        found = work()
        return distributed.agree(lambda: found)
    return distributed.agree(work)


def _learning_rate(training: Training) -> tuple[float, str]:
    if training.config.learning_rate != "auto":
        return training.config.learning_rate, "given"
    student, config = training.recipe.student, training.config
    if config.optimizer in LIKE_SGD:
        return sgd_peak(student, config.batch_size * config.gradient_accumulation)
    return training.data.peak or peak_learning_rate(student)


def _by_preset(config: DistillConfig, found: dict[str, str]) -> dict[str, str]:
    """The reasons, with whose value the fields of a preset have."""
    whose = presets.reasons(config.preset, config.model_dump())
    more = {name: found[name] for name in whose if found.get(name, "given") != "given"}
    return found | {name: f"{why}: {more[name]}" if name in more else why for name, why in whose.items()}


def _backbone_learning_rate(training: Training, rate: float) -> tuple[float | None, dict[str, str]]:
    asked = training.config.backbone_learning_rate
    if not training.data.taken:
        return None, {}
    if asked != "auto":
        return asked, {"backbone_learning_rate": "given"}
    if training.config.layer_decay < 1:
        return rate, {"backbone_learning_rate": f"{rate:g}, as learning_rate: layer_decay lowers it block by block"}
    return taken_learning_rate(rate)


def _cache_plan(training: Training, mode: Mode, example: Example, wanted: bool | str) -> cache.Plan:
    def sample() -> int:
        targets = cache.Teacher(training.recipe, mode, training.device)(example.teacher)
        return cache.bytes_per_sample(targets, training.data.packing)

    size = _on_all(training, sample)
    training.folder.mkdir(parents=True, exist_ok=True)
    return distributed.agree(
        lambda: cache.plan(
            wanted,
            augmented=training.config.augments,
            passes=training.length.passes,
            sample_bytes=size,
            samples=training.data.size,
            memory_bytes=training.config.cache_memory_bytes,
            disk_bytes=cache.disk_budget(training.folder),
            device_bytes=cache.device_budget(training.device),
        )
    )


def _device_reason(config: DistillConfig, device: torch.device) -> str:
    if config.device != "auto":
        return "given"
    return "a CUDA device is available" if device.type == "cuda" else "no CUDA device is available"
