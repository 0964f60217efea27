"""The training loop: steps, metrics, validation and checkpoints, as an iterator of events."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor

from distill.layers.modes import clear_caches
from distill.training import checkpoint, distributed, optimizers, sharding
from distill.training.divergence import CHANCE_MIN_STEPS, Guard
from distill.training.ema import Ema
from distill.training.groups import groups
from distill.training.head import HeadFit
from distill.training.meter import METRICS_SECONDS, Meter, Speed
from distill.training.rng import capture_rng, restore_rng
from distill.training.schedule import schedule
from distill.training.training import Training
from distill.training.validate import tally, validate, validate_by_teacher
from distill.types import Event

Events = Iterator[Event]
METRICS_SHARE = 1 / 200  # of the run between metrics, but at most MAX_STEPS
MAX_STEPS = 50
AVERAGES = {"student": "ema", "beside": "ema_beside"}
"""Names in a checkpoint of the moving averages of what is delivered."""


@dataclass(frozen=True)
class Outcome:
    """How training ended. `finished`: all steps; `stopped`: by `Control.stop`, the student is the best by validation
    so far; `handover`: a checkpoint is written and nothing more should be done. `validation` and `best_validation`: the
    task's primary metric of the final student and of the best one so far, on the validation samples. `seconds` spans
    all attempts, with what it took to compute targets once and to fit the classifier; `images_per_second` is of the
    steps alone, of all processes together, in the last attempt; `head`: how the fit of the classifier went, where there
    was one."""

    ending: Literal["finished", "stopped", "handover"]
    step: int
    epoch: int
    validation: float | None
    best_validation: float | None
    seconds: float
    images_per_second: float
    head: HeadFit | None = None


class Loop:
    """One run or its continuation."""

    def __init__(self, training: Training) -> None:
        self.training, self.recipe, self.config = training, training.recipe, training.config
        self.resolved, self.length, self.device = training.resolved, training.length, training.device
        self.mode, self.answer = training.resolved.student, training.recipe.answer
        self.parameters = [p for p in self.recipe.parameters() if p.requires_grad]
        lower = (self.resolved.backbone_learning_rate or 0.0) / self.resolved.learning_rate
        parts = groups(self.recipe, self.recipe.exported(), training.data.taken, lower, self.config.layer_decay)
        self.optimizer = optimizers.make(parts, self.config.optimizer, self.resolved.descent)
        self.scaler = self.mode.scaler(self.device)
        self.schedule = schedule(self.config, self.resolved.descent, self.resolved.learning_rate, self.length)
        self.cycled = optimizers.cycled(self.config)
        self.delivered = {"student": self.recipe.exported(), "beside": self.recipe.beside()}
        decay = self.config.ema_decay
        self.averages = {name: Ema(module, decay) for name, module in self.delivered.items()} if decay else {}
        self.parallel = distributed.parallel(self.recipe)
        self.forward: Callable[..., Any] = torch.compile(self.parallel) if self.mode.compile else self.parallel
        self.step = self.epoch = self.batch = 0  # optimiser steps done; position of the next batch
        self.best: dict[str, Any] | None = None
        self.validated: dict[str, Any] = {"step": -1, "value": None, "values": {}}
        self.guard, self.speed = Guard(), Speed()
        self.meter = Meter(self.answer, self.answer.counts_in_training)
        self.images, self.seconds = 0, 0.0  # samples seen by this process; time
        self.stopping = self.leaving = False
        self.saved_step = -1
        self.last: Any = None  # the newest batch, for the norms in an error

    # -- events -------------------------------------------------------------------------------------------------

    def run(self) -> Generator[Event, None, Outcome]:
        self._start_clocks()
        if self.saved_step < 0:
            yield from self._save()  # so that a run killed early resumes with the same probed choice
        while self.step < self.length.total_steps:
            before = self.step
            yield from self._run_epoch()
            if self.leaving and self.step > before:  # every attempt gets at least one step further
                yield from self._save()
                return self._outcome("handover")
            yield from self._validate()
            if self.stopping:
                return self._finish("stopped")
            if self.batch >= self.length.batches_per_epoch:
                self.epoch, self.batch = self.epoch + 1, 0
            yield from self._save()
        yield from self._validate()
        return self._finish("finished")

    def leave(self) -> Generator[Event, None, Outcome]:
        """Hand over before the first step, with the checkpoint that the run came from or one of now."""
        self._start_clocks()
        if self.saved_step < 0:
            yield from self._save()
        return self._outcome("handover")

    def _start_clocks(self) -> None:
        self.started = self.metrics_at = self.saved_at = time.monotonic()
        self.images_before, self.seconds_before = self.images, self.seconds
        self.speed.mark(self.step, 0)

    def _run_epoch(self) -> Events:
        self._listen(agreed=True)
        if self.stopping and self.best:
            return
        self.recipe.train()
        with closing(_closable(self.training.training_source.epoch(self.epoch, start=self.batch))) as batches:
            while group := list(islice(batches, self.length.accumulation)):
                self._step(group)
                yield from self._after_step()
                if self.stopping or self.leaving or self.step >= self.length.total_steps:
                    return

    def _listen(self, agreed: bool) -> tuple[bool, bool]:
        """Read the control and the clocks: sets `stopping` and `leaving`; returns whether metrics and a checkpoint are
        overdue. Several processes must do the same at the same step, so they speak only at `agreed` steps."""
        now = time.monotonic()
        metrics, save = now - self.metrics_at >= METRICS_SECONDS, now - self.saved_at >= self.config.checkpoint_seconds
        asked = [self.training.control.stop, self.training.control.handover, metrics, save]
        if distributed.world() > 1:
            asked = distributed.any_of(asked, self.device) if agreed else [False] * 4
        self.stopping, self.leaving = asked[0], asked[1]
        return asked[2], asked[3]

    def _after_step(self) -> Events:
        self.speed.mark(self.step, (self.images - self.images_before) * distributed.world())
        total = self.length.total_steps
        regular = self.step % max(1, min(MAX_STEPS, int(total * METRICS_SHARE))) == 0 or self.step == total
        metrics_overdue, save_due = self._listen(agreed=regular)
        if regular or metrics_overdue:
            yield from self._metrics()
        if save_due:
            yield from self._save()

    def _metrics(self) -> Events:
        values = self.meter.take(distributed.total)
        if not values:
            return
        self.metrics_at = time.monotonic()
        wrong = self.guard.check(self.step, values["loss"]) or self.guard.overflown(self.scaler)
        if wrong:
            raise self.guard.error(self.step, wrong, self._norms())
        learning_rate = self.optimizer.param_groups[0]["lr"]
        yield self._metrics_event("train", values | {"learning_rate": float(learning_rate)})
        yield self._progress()

    def _metrics_event(self, split: str, values: dict[str, float]) -> Event:
        return Event("metrics", {"step": self.step, "epoch": self.epoch, "split": split, "values": values})

    def _progress(self) -> Event:
        total = self.length.total_steps
        eta = self.speed.eta_seconds(total)
        return Event("progress", {
            "fraction": self.step / total, "step": self.step, "total_steps": total,
            "images_per_second": self.speed.images_per_second(), "eta_seconds": eta,
        })  # fmt: skip

    # -- work ---------------------------------------------------------------------------------------------------

    def _step(self, group: list[Any]) -> None:
        """One step on the gradient of the whole group: each batch's loss, a mean, counts by its `weight`. A group that
        weighs nothing has a gradient of 0."""
        self.optimizer.zero_grad(set_to_none=True)
        self.recipe.at(self.step / self.length.total_steps)
        weights = [self.answer.weight(batch.labels) for batch in group]
        predictions = distributed.mean_weight(sum(weights), self.device)
        for left, batch, own in zip(reversed(range(len(group))), group, weights, strict=True):
            targets = self.training.targets(batch)
            with distributed.held_back(self.parallel, left > 0):
                with self.mode.autocast(self.device), distributed.whole_batch():
                    parts = self.forward(self.mode.layout(batch.student), batch.labels, targets)
                self.scaler.scale(parts["loss"] * (own / predictions)).backward()
            self.meter.add(parts, batch.labels)
        self.images += sum(len(batch.labels) for batch in group)
        self._update()
        self.batch, self.last = self.batch + len(group), group[-1]

    def _update(self) -> None:
        if self.config.clip_norm:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)
        learning_rate, momentum = self.schedule(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group.get("scale", 1.0)
            if momentum is not None and self.cycled == "betas":
                group["betas"] = (momentum, group["betas"][1])
            elif momentum is not None and self.cycled:
                group["momentum"] = momentum
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.step += 1
        for name, average in self.averages.items():
            average.update(self.delivered[name], self.step)

    def _validate(self) -> Events:
        if self.validated["step"] == self.step:
            return
        yield from self._metrics()
        shadow = self.averages["student"].shadow if self.averages else None
        values = self._validation(shadow)
        if not math.isfinite(values["loss"]):
            raise self.guard.error(self.step, "the validation loss is not finite", self._norms())
        value = values[self.answer.primary]
        self.validated = {"step": self.step, "value": value, "values": values}
        if self.best is None or self.answer.better(value, self.best["value"]):
            self.best = self.validated | self._kept()
        yield self._metrics_event("validation", values)
        yield self._progress()

    def _validation(self, shadow: dict[str, Tensor] | None) -> dict[str, float]:
        """Figures of the student, or of its averaged weights `shadow`, on the validation samples."""
        source = self.training.validation_source
        if self.answer.taught:
            return validate(self.delivered["student"], source, self.answer, self.mode, self.device, shadow)
        return validate_by_teacher(self.recipe, source, self.training.teacher(), self.mode, self.device, shadow)

    def _kept(self) -> dict[str, dict[str, Tensor]]:
        """The weights of now, averaged if asked, of the student and of what is delivered beside it."""
        return {name: _copied(self._weights(name)) for name in self.delivered}

    def _weights(self, name: str) -> dict[str, Tensor]:
        return self.averages[name].shadow if self.averages else self.delivered[name].state_dict()

    def _finish(self, ending: Literal["finished", "stopped"]) -> Outcome:
        """Put the final weights into the student: the last (averaged, if asked) ones, or the best after a stop."""
        kept: dict[str, Any] = {}
        if ending == "stopped":
            assert self.best is not None
            kept = self.best
            self.validated |= {name: kept[name] for name in ("value", "values")}
        for name, module in self.delivered.items():
            sharding.load(module, kept.get(name) or self._weights(name))
        clear_caches(self.delivered["student"])
        return self._outcome(ending)

    def check_chance(self, outcome: Outcome) -> None:
        """Raise `AtChance` when a student that has had all its steps knows no more than guessing does. Of several
        processes the first judges, whose student has the fitted head, and the others follow."""
        why = distributed.agree(lambda: self._chance(outcome))
        if why:
            raise self.guard.at_chance(self.step, why, self._norms())

    def _chance(self, outcome: Outcome) -> str | None:
        """What is wrong with the final student."""
        if outcome.ending != "finished" or self.step < CHANCE_MIN_STEPS or outcome.validation is None:
            return None
        values = self.validated["values"] | {self.answer.primary: outcome.validation}
        student, source = self.delivered["student"], self.training.validation_source
        return self.answer.at_chance(
            values, self.training.data.guess, lambda: tally(student, source, self.answer, self.mode, self.device)
        )

    def _outcome(self, ending: Literal["finished", "stopped", "handover"]) -> Outcome:
        best = self.best["value"] if self.best else None
        seconds = self._elapsed()
        images = (self.images - self.images_before) * distributed.world()
        rate = images / max(seconds - self.seconds_before, 1e-9)
        return Outcome(ending, self.step, self.epoch, self.validated["value"], best, seconds, rate)

    def _elapsed(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    def _norms(self) -> dict[str, Any]:
        measure = self.training.norms
        return measure(self.last) if measure and self.last is not None else {}

    # -- checkpoints --------------------------------------------------------------------------------------------

    def _save(self) -> Events:
        yield from self._metrics()  # and so never save a student that has already diverged
        self.saved_step, self.saved_at = self.step, time.monotonic()
        if not (self.training.main or self.training.sharded):
            return
        state = sharding.whole(self.state(), keep=self.training.main)
        if not self.training.main:
            return
        path = checkpoint.path_for(self.training.folder, self.step)
        checkpoint.write(path, state)
        checkpoint.prune(self.training.folder)
        yield Event("checkpoint", {"path": str(path), "step": self.step, "epoch": self.epoch})

    def state(self) -> dict[str, Any]:
        return {
            "step": self.step, "epoch": self.epoch, "batch": self.batch,
            "images": self.images, "seconds": self._elapsed(),
            "recipe": self.recipe.state_dict(),
            "optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict(),
            **{AVERAGES[name]: self._weights(name) if self.averages else None for name in self.delivered},
            "best": self.best, "validated": self.validated,
            "guard": self.guard.state(),
            "rng": capture_rng(),
            "resolved": json.dumps(self.resolved.to_dict()),
            "carry": json.dumps(self.training.carry),
        }  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        """Continue from `state`; weights keep the memory format that the mode gave them."""
        sharding.load(self.recipe, state["recipe"])
        clear_caches(self.recipe)
        sharding.load_optimizer(self.optimizer, state["optimizer"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
        for name, average in self.averages.items():
            average.load(state.get(AVERAGES[name]) or self.delivered[name].state_dict())  # earlier releases wrote one
        self.step, self.epoch, self.batch = state["step"], state["epoch"], state["batch"]
        self.images, self.seconds = state["images"], state["seconds"]
        self.best, self.validated = state["best"] and _renamed(state["best"]), _renamed(state["validated"])
        self.guard.load(state["guard"])
        restore_rng(state["rng"])
        self.saved_step = self.step


def _copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: sharding.whole(value.detach()).to("cpu", copy=True) for name, value in state.items()}


def _renamed(kept: dict[str, Any]) -> dict[str, Any]:
    """A student's value, which releases before the tasks wrote as its accuracy."""
    if "accuracy" not in kept:
        return kept
    value = kept["accuracy"]
    return {"values": {"accuracy": value}, "value": value} | {k: v for k, v in kept.items() if k != "accuracy"}


def _closable(batches: Iterator[Any]) -> Generator[Any, None, None]:
    yield from batches
