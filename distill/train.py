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
from distill.training import cache, checkpoint, distributed
from distill.training.allocator import keep_freed_memory
from distill.training.data import Order, Source, TrainData
from distill.training.head import HeadFit, fit_head, fits, most_samples
from distill.training.loop import Loop, Outcome, Parts
from distill.training.mode import Mode
from distill.training.plan import Resolved, check_same, length
from distill.training.probe import Choice, Example, choose
from distill.training.rng import determinism, seed_everything
from distill.training.schedule import peak_learning_rate, taken_learning_rate
from distill.training.targets import Fill, Targets
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

    Events: `resolved`, `metrics` (train: loss parts, accuracy, learning rate; validation: loss, accuracy),
    `progress`, `checkpoint`, `log`. Checkpoints go to `folder`; `carry` (JSON) travels in them; `norms` measures the
    watched layers on a batch for the message of `Diverged`.
    `control.stop` ends with the best student by validation, `control.handover` with a checkpoint; both are heard
    between the batches of the teacher's targets too.
    Raises Diverged; AtChance; InvalidConfig for a checkpoint that is damaged or of another configuration.
    """
    saved = checkpoint.read(resume) if resume else None
    device = _device(config)
    if device.type == "cpu":
        keep_freed_memory()
    with determinism(config.deterministic):
        _place(recipe, device)
        if saved is None:
            seed_everything(config.seed)
        run = _Run(recipe, data, config, device, folder)
        resolved = run.resume(saved) if saved else run.resolve()
        yield Event("resolved", {"config": resolved.config(), "reasons": resolved.reasons})
        resolved.student.prepare(recipe)
        began = time.monotonic()
        targets = yield from run.targets(resolved, control, saved["step"] if saved else 0)
        try:
            loop = Loop(run.parts(resolved, targets, norms), folder, control, carry or {})
            if saved:
                loop.load(saved)
            loop.seconds += time.monotonic() - began
            before = loop.step
            outcome = yield from loop.leave() if targets.leave else loop.run()
            if resolved.fit_head and loop.parts.main and outcome.ending != "handover":
                # Every attempt gets further: one that had no step left does not leave before this is done.
                outcome = yield from run.fit_head(
                    loop.parts, outcome, lambda: control.handover and outcome.step > before
                )
            outcome = distributed.agree(lambda: outcome)  # only the first process fitted the head
            loop.check_chance(outcome)
            return outcome
        finally:
            targets.close()


def carried(resume: str | Path) -> dict[str, Any]:
    """The `carry` of a checkpoint."""
    carry: dict[str, Any] = json.loads(checkpoint.read(resume)["carry"])
    return carry


def _device(config: DistillConfig) -> torch.device:
    if config.device != "auto":
        return torch.device(config.device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _place(recipe: Recipe, device: torch.device) -> None:
    recipe.to(device)
    if recipe.teacher is not None:
        recipe.teacher.to(device)


_PLAIN: dict[str, Any] = {"drop_last": False, "teacher": False, "augment": False, "rank": 0, "world": 1}
"""Every sample once, as it is, for one process."""


class _Run:
    """Decisions before the loop, and the loop's parts."""

    def __init__(
        self, recipe: Recipe, data: TrainData, config: DistillConfig, device: torch.device, folder: Path
    ) -> None:
        self.recipe, self.data, self.config, self.device, self.folder = recipe, data, config, device, folder
        self.rank, self.world = distributed.rank(), distributed.world()
        self.length = length(config, self._source().batches_per_epoch)

    def _order(self, **changes: Any) -> Order:
        order = Order(
            batch_size=self.config.batch_size, device=self.device, shuffle=True,
            drop_last=self.data.size >= self.config.batch_size, teacher=self.recipe.teacher is not None,
            augment=self.config.augmentation != "none", rank=self.rank, world=self.world,
        )  # fmt: skip
        return replace(order, **changes)

    def _source(self, **changes: Any) -> Source:
        return self.data.open_train(self._order(**changes))

    def resolve(self) -> Resolved:
        example = self._example()
        choice = distributed.agree(lambda: self._choose(example))
        place = distributed.agree(lambda: self._plan(choice.teacher, example, self.config.cache_teacher))
        rate, why = self._learning_rate()
        backbone, why_backbone = self._backbone_learning_rate(rate)
        fitting, why_fit = fits(self.config.fit_head, self.recipe.answer)
        reasons = choice.reasons | {
            "fit_head": why_fit,
            "learning_rate": why,
            "device": _device_reason(self.config, self.device),
            "cache_teacher": f"{place.place}: {place.reason}",
        }
        reasons |= why_backbone
        device, threads = str(self.device), torch.get_num_threads()
        return Resolved(
            self.config, rate, device, choice.student, choice.teacher, place.place, reasons, threads, fitting, backbone
        )

    def _choose(self, example: Example) -> Choice:
        return choose(self.recipe, example, self.config, self.device, self.length.total_steps)

    def resume(self, saved: dict[str, Any]) -> Resolved:
        before = Resolved.from_dict(json.loads(saved["resolved"]))
        check_same(self.config, before.given)
        reasons = before.reasons | {"resume": f"continued at step {saved['step']} with the choices made then"}
        torch.set_num_threads(before.threads)
        place = before.cache
        if place != "live":  # where the cache lies changes no number, so it may follow the new machine
            example = self._example()
            plan = distributed.agree(lambda: cache.continued(self._plan(before.teacher, example, True)))
            place, reasons["cache_teacher"] = plan.place, f"{plan.place}: {plan.reason}"
        return replace(before, given=self.config, device=str(self.device), cache=place, reasons=reasons)

    def _learning_rate(self) -> tuple[float, str]:
        if self.config.learning_rate == "auto":
            if self.data.peak is not None:
                return self.data.peak
            return peak_learning_rate(self.recipe.student)
        return self.config.learning_rate, "given"

    def _backbone_learning_rate(self, rate: float) -> tuple[float | None, dict[str, str]]:
        if not self.data.taken:
            return None, {}
        if self.config.backbone_learning_rate != "auto":
            return self.config.backbone_learning_rate, {"backbone_learning_rate": "given"}
        return taken_learning_rate(rate)

    def fit_head(self, parts: Parts, outcome: Outcome, leave: Callable[[], bool]) -> Generator[Event, None, Outcome]:
        """The student's classifier fitted anew on what the trained backbone gives it; see `distill.training.head`."""
        if not self.recipe.answer.no_fit():
            message = "Fitting the classifier on the finished backbone's features."
            yield Event("log", {"level": "info", "message": message})
        seen = self.length.total_steps * self.length.accumulation * self.config.batch_size
        began = time.monotonic()
        found = self._fitted(parts, seen, leave)
        if found is None:  # the next attempt begins after the last step, and so with this
            return replace(outcome, ending="handover")
        yield Event("log", {"level": "info", "message": _told(found)})
        accuracy = found.accuracy_after if found.fitted else outcome.validation
        spent = time.monotonic() - began
        head = replace(found, seconds=spent)
        return replace(outcome, head=head, validation=accuracy, seconds=outcome.seconds + spent)

    def _fitted(self, parts: Parts, seen: int, leave: Callable[[], bool]) -> HeadFit | None:
        why_not = self.recipe.answer.no_fit()
        if why_not:
            return HeadFit(False, why_not)
        return fit_head(
            self.recipe.exported(), self.data.head_source(self._order(**_PLAIN)), parts.validation,
            parts.resolved.student, lambda head: most_samples(self.data.head_size, seen, head), leave,
            keep_accuracy=self.config.fit_head == "auto",
        )  # fmt: skip

    def _example(self) -> Example:
        batch = next(iter(self._source().epoch(0)))
        return Example(batch.student, batch.teacher, batch.labels)

    def _plan(self, mode: Mode, example: Example, wanted: bool | str) -> cache.Plan:
        targets = cache.Teacher(self.recipe, mode, self.device)(example.teacher)
        sample_bytes = cache.bytes_per_sample(targets, self.data.packing)
        self.folder.mkdir(parents=True, exist_ok=True)
        return cache.plan(
            wanted,
            augmented=self.config.augmentation != "none",
            passes=self.length.passes,
            sample_bytes=sample_bytes,
            samples=self.data.size,
            memory_bytes=self.config.cache_memory_bytes,
            disk_bytes=cache.disk_budget(self.folder),
            device_bytes=cache.device_budget(self.device),
        )

    def targets(self, resolved: Resolved, control: Control, step: int) -> Generator[Event, None, Targets]:
        if self.recipe.teacher is not None:
            resolved.teacher.prepare(self.recipe.teacher)
        teacher = cache.Teacher(self.recipe, resolved.teacher, self.device)
        if resolved.cache in ("live", "recomputed"):
            return Targets(teacher, rounded=resolved.cache == "recomputed")
        folder = self.folder / "cache" if self.world == 1 else self.folder / f"cache-{self.rank}"
        indices = torch.as_tensor(self.data.indices)
        store = cache.Cache(resolved.cache, indices, folder, self.device, self.data.packing)
        yield Event("log", {"level": "info", "message": f"Computing the teacher's targets once ({resolved.cache})."})
        fill = Fill(control, self.device, self.data.size, step, self.length.total_steps)
        return (yield from fill(store, teacher, self._source(shuffle=False, drop_last=False, rank=0, world=1)))

    def parts(self, resolved: Resolved, targets: Targets, norms: Callable[[Any], dict[str, Any]] | None) -> Parts:
        validation = self._order(shuffle=False, **_PLAIN)
        return Parts(
            recipe=self.recipe, resolved=resolved, length=self.length,
            train=self._source(teacher=self.recipe.teacher is not None and targets.store is None),
            validation=self.data.open_validation(validation),
            guess=self.data.guess, targets=targets, taken=self.data.taken, main=self.rank == 0, norms=norms,
        )  # fmt: skip


def _told(found: HeadFit) -> str:
    if not found.fitted:
        return f"The classifier stays as it was trained: {found.reason}."
    return (
        f"The classifier was fitted on {found.samples:,} training samples: validation loss {found.loss_before:.4f} -> "
        f"{found.loss_after:.4f}, accuracy {found.accuracy_before:.4f} -> {found.accuracy_after:.4f}."
    )


def _device_reason(config: DistillConfig, device: torch.device) -> str:
    if config.device != "auto":
        return "given"
    return "a CUDA device is available" if device.type == "cuda" else "no CUDA device is available"
