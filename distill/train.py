"""Train a recipe: an iterator of events that knows no database, with checkpoints that continue bit-identically.

    for event in train(recipe, data, config, folder, Control()):
        print(event.kind, event.data)
    student = recipe.exported()

Resuming never probes, draws or decides anew: what was chosen travels in the checkpoint. With a fixed seed a run that
is killed and resumed on the CPU gives bit for bit the student of an undisturbed one. Two separate runs do too, as
long as the probe chooses the same: name `precision` and `channels_last` where that matters.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from distill.control import Control
from distill.recipe_parts.base import Recipe
from distill.training import checkpoint, distributed, resolving, sharding
from distill.training.allocator import keep_freed_memory
from distill.training.data import TrainData
from distill.training.head import HeadFit, fit_head, most_samples
from distill.training.loop import Loop, Outcome
from distill.training.rng import determinism, seed_everything
from distill.training.targets import Fill, Targets
from distill.training.training import AS_THEY_ARE, Training
from distill.types import DistillConfig, Event

__all__ = ["Outcome", "TrainData", "train"]


def train(
    recipe: Recipe,
    data: TrainData,
    config: DistillConfig,
    folder: Path,
    control: Control,
    resume: str | Path | None = None,
    *,
    carry: dict[str, Any] | None = None,
    norms: Callable[[Any], dict[str, Any]] | None = None,
) -> Generator[Event, None, Outcome]:
    """Train `recipe` in place; afterwards `recipe.exported()` is the student. Returns how it ended.

    Events: `resolved`, `warning`, `metrics` (train: loss parts, accuracy, learning rate; validation: loss, accuracy),
    `progress`, `checkpoint`, `log`. Checkpoints go to `folder`; `carry` (JSON) travels in them; `norms` measures the
    watched layers on a batch for the message of `Diverged`.
    Inside `distributed.in_shares` the networks lie in shares on the processes, and are whole again afterwards.
    `control.stop` ends with the best student by validation, `control.handover` with a checkpoint; both are heard
    between the batches of the teacher's targets too.
    Raises Diverged; AtChance; InvalidConfig for a checkpoint that is damaged or of another configuration.
    """
    saved = checkpoint.read(resume) if resume else None
    training = Training(recipe, data, config, folder, control, _device(config), carry or {}, norms)
    if training.device.type == "cpu":
        keep_freed_memory()
    with determinism(config.deterministic), sharding.explained():
        yield from _decide(training, saved)
        began = time.monotonic()
        training.targets = yield from _targets(training, saved["step"] if saved else 0)
        try:
            loop = Loop(training)
            if saved:
                loop.load(saved)
            loop.seconds += time.monotonic() - began
            return (yield from _run(training, loop))
        finally:
            training.targets.close()


def carried(resume: str | Path) -> dict[str, Any]:
    """The `carry` of a checkpoint."""
    carry: dict[str, Any] = json.loads(checkpoint.read(resume)["carry"])
    return carry


def _device(config: DistillConfig) -> torch.device:
    if config.device != "auto":
        return torch.device(config.device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _decide(training: Training, saved: dict[str, Any] | None) -> Generator[Event, None, None]:
    """Put the networks where they run, and resolve the configuration."""
    recipe = training.recipe
    training.place()
    if saved is None:
        seed_everything(training.config.seed)
    resolved = training.resolved = resolving.resume(training, saved) if saved else resolving.resolve(training)
    yield Event("resolved", {"config": resolved.config(), "reasons": resolved.reasons})
    for each in training.cautions:
        yield Event("warning", each.to_dict())
        yield Event("log", {"level": "warning", "message": str(each)})
    resolved.student.prepare(recipe)
    if recipe.teacher is not None:
        resolved.teacher.prepare(recipe.teacher)


def _targets(training: Training, step: int) -> Generator[Event, None, Targets]:
    """What the teacher says: computed once where it is cached, else of the moment."""
    place = training.resolved.cache
    if place in ("live", "recomputed"):
        return Targets(training.teacher(), rounded=place == "recomputed")
    store = training.cache()
    yield Event("log", {"level": "info", "message": f"Computing the teacher's targets once ({place})."})
    fill = Fill(training.control, training.device, training.data.size, step, training.length.total_steps)
    every = training.source(shuffle=False, drop_last=False, rank=0, world=1)
    return (yield from fill(store, training.teacher(), every))


def _run(training: Training, loop: Loop) -> Generator[Event, None, Outcome]:
    """The steps, then the classifier; several processes end alike."""
    before = loop.step
    outcome = yield from loop.leave() if training.targets.leave else loop.run()
    training.take_back()
    if training.resolved.fit_head and training.main and outcome.ending != "handover":
        # Every attempt gets further: one that had no step left does not leave before this is done.
        further = outcome.step > before
        outcome = yield from _fit_head(training, outcome, lambda: training.control.handover and further)
    outcome = distributed.agree(lambda: outcome)
    if outcome.head is not None and outcome.head.fitted:
        distributed.follow(training.recipe.exported())  # only the first process fitted the head
    loop.check_chance(outcome)
    return outcome


def _fit_head(training: Training, outcome: Outcome, leave: Callable[[], bool]) -> Generator[Event, None, Outcome]:
    """The student's classifier fitted anew on what the trained backbone gives it; see `distill.training.head`."""
    if not training.recipe.answer.no_fit():
        yield Event("log", {"level": "info", "message": "Fitting the classifier on the finished backbone's features."})
    began = time.monotonic()
    found = _fitted(training, leave)
    if found is None:  # the next attempt begins after the last step, and so with this
        return replace(outcome, ending="handover")
    yield Event("log", {"level": "info", "message": _told(found)})
    accuracy = found.accuracy_after if found.fitted else outcome.validation
    spent = time.monotonic() - began
    head = replace(found, seconds=spent)
    return replace(outcome, head=head, validation=accuracy, seconds=outcome.seconds + spent)


def _fitted(training: Training, leave: Callable[[], bool]) -> HeadFit | None:
    why_not = training.recipe.answer.no_fit()
    if why_not:
        return HeadFit(False, why_not)
    seen = training.length.total_steps * training.length.accumulation * training.config.batch_size
    return fit_head(
        training.recipe.exported(), training.data.head_source(training.order(**AS_THEY_ARE)),
        training.validation_source, training.resolved.student,
        lambda head: most_samples(training.data.head_size, seen, head), leave,
        keep_accuracy=training.config.fit_head == "auto", class_weights=training.data.class_weights,
    )  # fmt: skip


def _told(found: HeadFit) -> str:
    if not found.fitted:
        return f"The classifier stays as it was trained: {found.reason}."
    return (
        f"The classifier was fitted on {found.samples:,} training samples: validation loss {found.loss_before:.4f} -> "
        f"{found.loss_after:.4f}, accuracy {found.accuracy_before:.4f} -> {found.accuracy_after:.4f}."
    )
