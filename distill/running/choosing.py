"""The choosing phase of `recipe: auto`: candidates trained in rungs, judged on validation samples alone.

It leaves a specification that names a recipe; what follows is bit for bit the job that had named it. Its checkpoints
count their steps up to 0, where the training begins, and hold what was found and the candidate that was being trained.
"""

from __future__ import annotations

import gc
import json
import shutil
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from distill import auto_recipe, tasks
from distill.control import Control
from distill.errors import AtChance, Diverged, InvalidConfig, InvalidDataset, UserError
from distill.layers.modes import clear_caches
from distill.passing import passing
from distill.running.building import build_recipe
from distill.running.choice_found import Found
from distill.running.chosen_layers import check_layers, choose_layers
from distill.running.session import Session
from distill.running.step_times import StepTimes
from distill.tasks.inspection import task_of
from distill.train import train
from distill.training import checkpoint, distributed
from distill.training.loop import Outcome
from distill.training.plan import length
from distill.training.rng import seed_everything
from distill.types import Event, RunSpec
from distill.warned import RunWarning

STATE, INNER = "choosing", "training"  # keys of a checkpoint of this phase
TIMED_STEPS = 6
Ending = Literal["value", "stopped", "handover", "dropped"]


class Incomparable(InvalidConfig):
    """Data by which recipes cannot be compared."""


def is_of_choosing(saved: dict[str, Any]) -> bool:
    """Whether a checkpoint is one of this phase."""
    return STATE in saved


@dataclass
class Chosen:
    """`spec`: names the recipe, and continues from a checkpoint of its training where there was one. `choice`: what is
    told of it. `curves`: the teachers' Q curves, where a candidate needed them. `warning`: where nothing told them
    apart."""

    spec: RunSpec
    choice: dict[str, Any]
    curves: list[dict[str, Any]] = field(default_factory=list)
    warning: RunWarning | None = None


def choose_recipe(spec: RunSpec, folder: Path, control: Control) -> Generator[Event, None, Chosen | None]:
    """The recipe of a specification that leaves it to us; None after `control.handover`.

    Events: `phase`, `choice` after every training, `progress`, `checkpoint`, `log`. The test samples are not read.
    `control.stop` ends the choice with what is known. Raises `InvalidConfig` where no recipe fits, and for data without
    labels, where each recipe is judged by a loss of its own.
    """
    saved = checkpoint.read(spec.resume_from) if spec.resume_from else None
    if saved is not None and not is_of_choosing(saved):
        choice = json.loads(saved["carry"])["choice"]
        return Chosen(_with_recipe(spec, choice["recipe"]), choice)
    return (yield from _Choosing(spec, folder, control, saved).run())


def _with_recipe(spec: RunSpec, recipe: str, **changes: Any) -> RunSpec:
    return spec.model_copy(update={"config": auto_recipe.variant(spec.config, recipe)} | changes)


class _Choosing:
    def __init__(self, spec: RunSpec, folder: Path, control: Control, saved: dict[str, Any] | None) -> None:
        self.spec, self.folder, self.control = spec, folder / "choosing", control
        self.inner: dict[str, Any] | None = saved[INNER] if saved else None
        self.found = Found.from_dict(json.loads(saved[STATE])) if saved else self._begun()
        self.saved_at = self.began = time.monotonic()
        self.before = self.found.seconds

    def _begun(self) -> Found:
        told = tasks.spec(task_of(self.spec.dataset))
        fit, unfit = auto_recipe.fitting(told, self.spec.config, len(self.spec.teachers))
        found = Found.of(fit, unfit)
        if not fit:
            raise self._none_fits(found.rows)
        return found

    def run(self) -> Generator[Event, None, Chosen | None]:
        yield Event("phase", {"phase": "choosing"})
        self._clean(self.folder)  # what an attempt that was killed here left
        if not self.found.rungs and not (yield from self._plan()):
            return None
        while self._goes_on():
            for recipe in list(self.found.open):
                ending = yield from self._trained(recipe, self.found.rungs[self.found.rung].steps)
                if ending == "handover":
                    return None
                if ending == "stopped":
                    break
                self.found.open.remove(recipe)
                yield Event("choice", self._choice())
                yield from self._save(None)
            if self._stopping():
                break
            self._close_rung()
        return (yield from self._concluded())

    def _goes_on(self) -> bool:
        return not self.found.ended and self.found.rung < len(self.found.rungs) and not self._stopping()

    def _stopping(self) -> bool:
        if distributed.agree(lambda: self.control.stop) and not self.found.ended:
            self.found.ended = "The job was stopped meanwhile."
        return self.control.stop

    # -- the plan -----------------------------------------------------------------------------------------------------

    def _plan(self) -> Generator[Event, None, bool]:
        """Settles the rungs by the first candidate that fits: a few of its steps are timed, where nothing says how many
        there are to be. False after a handover."""
        for recipe in list(self.found.open):
            watch = StepTimes()
            steps = TIMED_STEPS if self.spec.config.auto_steps == "auto" else 0
            ending = yield from self._trained(recipe, steps, watch)
            if ending == "handover":
                return False
            if not watch.known and not self.found.row(recipe)["fits"]:
                self.found.open.remove(recipe)
                continue
            break
        if not self.found.open:
            raise self._none_fits(self.found.rows)
        config, count = self.spec.config, len(self.found.open)
        longest, given = self.found.longest, config.auto_steps
        timed = auto_recipe.first_steps(count, config.auto_minutes, watch.step_seconds, watch.fixed_seconds, longest)
        first = distributed.agree(lambda: timed if given == "auto" else given)
        self.found.rungs = list(auto_recipe.rungs(count, first, longest))
        plan = ", then ".join(f"{rung.candidates} for {rung.steps} steps" for rung in self.found.rungs)
        yield Event("log", {"level": "info", "message": f"Recipes are compared on validation samples: {plan}."})
        takes = auto_recipe.round_minutes(count, first, watch.step_seconds, watch.fixed_seconds)
        if given == "auto" and takes > auto_recipe.LATE * config.auto_minutes:
            message = f"One round takes about {takes:.1f} minutes: auto_minutes ({config.auto_minutes:g}) is too short."
            yield Event("log", {"level": "warning", "message": message})
        yield Event("choice", self._choice())
        yield from self._save(None)
        return True

    def _close_rung(self) -> None:
        """Who goes on, if time allows: the next rung takes three times as long for each."""
        found = self.found
        rung, higher = found.rung, found.metric.get("higher_is_better", True)
        found.rung += 1
        left = auto_recipe.survivors(found.rows, rung, higher)
        if found.rung >= len(found.rungs) or len(left) < 2:
            found.rungs = found.rungs[: found.rung]
            return
        spent = self._elapsed()
        ahead = sum(found.row(name)["seconds"][rung] for name in left) * auto_recipe.ETA
        if distributed.agree(lambda: spent + ahead > 60 * self.spec.config.auto_minutes * auto_recipe.LATE):
            found.ended = f"auto_minutes ({self.spec.config.auto_minutes:g}) left no time for another round."
            return
        found.open = left

    def _elapsed(self) -> float:
        return self.before + time.monotonic() - self.began

    # -- one training -------------------------------------------------------------------------------------------------

    def _trained(self, recipe: str, steps: int, watch: StepTimes | None = None) -> Generator[Event, None, Ending]:
        """One candidate for so many steps; what it reached goes into its row, or why it drops out."""
        began = time.monotonic()
        place = self.folder / recipe
        self._clean(place)
        try:
            found = yield from self._outcome(recipe, steps, place, watch)
        except AtChance as error:
            if watch is None:  # after a few steps every recipe may be
                self.found.row(recipe)["note"] = f"At chance after {steps} steps: {error.message}"
            return "dropped"
        except Diverged as error:
            return self._drop(recipe, f"Diverged: {error.message}")
        except (InvalidDataset, Incomparable):
            raise
        except UserError as error:
            return self._drop(recipe, error.message)
        except torch.OutOfMemoryError as error:
            return self._drop(recipe, f"It does not fit into the accelerator's memory: {str(error).partition('.')[0]}.")
        finally:
            gc.collect()
        if watch is not None:
            watch.end(time.monotonic() - began)
        if steps == 0 and found is None and not self.control.handover:
            return "value"
        if found is None or found.ending == "handover":
            return "handover"
        if found.ending == "stopped":
            return "stopped"
        if watch is None:
            value = found.validation if found.validation is not None else found.best_validation
            assert value is not None
            self.found.row(recipe)["values"].append(value)
            self.found.row(recipe).setdefault("seconds", []).append(time.monotonic() - began)
        return "value"

    @staticmethod
    def _clean(place: Path) -> None:
        """Before any process writes there."""
        distributed.agree(lambda: shutil.rmtree(place, ignore_errors=True))

    def _drop(self, recipe: str, why: str) -> Ending:
        self.found.row(recipe).update(note=why, fits=False)
        return "dropped"

    def _outcome(
        self, recipe: str, steps: int, place: Path, watch: StepTimes | None
    ) -> Generator[Event, None, Outcome | None]:
        """None after a handover before the first step, and where no step is wanted."""
        session = self._opened(recipe, max(1, steps), place)
        if session.leaving() or steps == 0:
            return None
        check_layers(session)
        for _ in choose_layers(session):  # it leaves after the layer at which a handover is asked for
            pass
        if session.leaving():
            return None
        self.found.curves = [curve.to_dict() for curve in session.curves] or self.found.curves
        seed_everything(session.config.seed)
        made, data = build_recipe(session), session.task.train_data()
        session.recipe = made
        events = train(
            made, data, session.config, place / "checkpoints", self.control, session.spec.resume_from,
            carry={"curves": self.found.curves},
        )  # fmt: skip

        def see(event: Event) -> Iterator[Event]:
            if watch is None:
                yield from self._told(event, place, steps)
            else:
                watch.see(event)

        outcome = yield from passing(events, see)
        clear_caches(made)
        if outcome.ending == "handover" and outcome.step:
            yield from self._save(place / "checkpoints", outcome.step)
        return outcome

    def _opened(self, recipe: str, steps: int, place: Path) -> Session:
        """Without what the choice does not look at: comparison and exports."""
        inner = self._inner(place)
        spec = _with_recipe(self.spec, recipe, comparison=None, resume_from=inner)
        longest = self.found.longest or 2**31 - 1
        changes: dict[str, Any] = {"exports": [], "max_steps": min(steps, spec.config.max_steps or longest)}
        session = Session.open(
            spec.model_copy(update={"config": spec.config.model_copy(update=changes)}), place, self.control
        )
        if not session.task.answer.taught:
            raise Incomparable(*auto_recipe.WITHOUT_LABELS, {"field": "recipe"})
        session.carry = session.carry or {"curves": self.found.curves}
        self.found.metric = self.found.metric or session.task.validated.to_dict()
        if not self.found.longest:
            self.found.longest = _steps_of(session, spec)
        return session

    def _inner(self, place: Path) -> str | None:
        """The checkpoint of the training that was going on, on disk again."""
        if self.inner is None:
            return None
        path = checkpoint.path_for(place / f"continued-{distributed.rank()}", int(self.inner["step"]))
        checkpoint.write(path, self.inner)
        self.inner = None
        return str(path)

    # -- what is told -------------------------------------------------------------------------------------------------

    def _told(self, event: Event, place: Path, steps: int) -> Iterator[Event]:
        if event.kind == "progress":
            yield self._progress(event.data, steps)
        due = time.monotonic() - self.saved_at >= self.spec.config.checkpoint_seconds
        if event.kind == "checkpoint" and event.data["step"] and due:
            yield from self._save(place / "checkpoints", event.data["step"])

    def _progress(self, inner: dict[str, Any], steps: int) -> Event:
        step, total = self.found.done + min(inner["step"], steps), max(1, self.found.total)
        rate = (total - step) / step if step else None
        return Event("progress", {
            "fraction": step / total, "step": step, "total_steps": total,
            "images_per_second": inner["images_per_second"],
            "eta_seconds": None if rate is None else rate * self._elapsed(),
        })  # fmt: skip

    def _save(self, trained: Path | None, step: int = 0) -> Iterator[Event]:
        """What is known, with the newest state of a training; counted so that 0 is where the job's own begins."""
        number = self.found.done + step - self.found.total
        if distributed.rank() > 0 or number >= 0 or not self.found.rungs:
            return
        self.found.seconds, self.saved_at = self._elapsed(), time.monotonic()
        newest = checkpoint.existing(trained)[-1] if trained else None
        state = {STATE: json.dumps(self.found.to_dict()), INNER: checkpoint.read(newest) if newest else None}
        path = self.folder / f"choosing-{self.found.total + number:09d}.pt"
        checkpoint.write(path, state)
        for old in sorted(self.folder.glob("choosing-*.pt"))[: -checkpoint.KEEP]:
            old.unlink()
        yield Event("checkpoint", {"path": str(path), "step": number, "epoch": 0})

    def _choice(self, recipe: str = "", reason: str = "") -> dict[str, Any]:
        found = self.found
        order = {name: place for place, name in enumerate(self._order())}
        rows = sorted(found.rows, key=lambda row: (order.get(row["recipe"], len(order)), row["recipe"]))
        shown = max((len(row["values"]) for row in rows), default=0)
        return {
            "recipe": recipe,
            "reason": reason,
            "metric": found.metric,
            "minutes": self.spec.config.auto_minutes,
            "seconds": round(self._elapsed(), 1),
            "rungs": [rung.steps for rung in found.rungs[:shown]],
            "table": [{key: row[key] for key in ("recipe", "values", "note")} for row in rows],
        }

    def _order(self) -> list[str]:
        """The best first: who came further, then by value."""
        higher, found = self.found.metric.get("higher_is_better", True), list[str]()
        for rung in reversed(range(len(self.found.rungs))):
            found += [name for name in auto_recipe.ranked(self.found.rows, rung, higher) if name not in found]
        return found

    # -- the end ------------------------------------------------------------------------------------------------------

    def _concluded(self) -> Generator[Event, None, Chosen]:
        """The best of the last rung that was finished, or of the first as far as it came."""
        found, higher = self.found, self.found.metric.get("higher_is_better", True)
        whole = max(0, found.rung - 1)
        best, warning = auto_recipe.ranked(found.rows, whole, higher), None
        if best and auto_recipe.told_apart(found.rows, whole):
            reason = self._reason(best, whole)
        else:
            same, left = bool(best), best or self._left()
            best = [auto_recipe.DEFAULT] if auto_recipe.DEFAULT in self.found.fitting else left
            nothing = "all had the same value" if same else "no candidate was better than chance after the first round"
            why = found.ended or nothing
            reason = f"{best[0]}: nothing told the recipes apart, {why[:1].lower()}{why[1:].rstrip('.')}."
            warning = RunWarning(
                "recipe_not_chosen", f"The recipe was not chosen by evidence: {reason}",
                "Give auto_minutes more, or name the recipe.", {"recipe": best[0]},
            )  # fmt: skip
        choice = self._choice(best[0], reason)
        yield Event("choice", choice)
        self._clean(self.folder)
        return Chosen(_with_recipe(self.spec, best[0], resume_from=None), choice, found.curves, warning)

    def _reason(self, best: list[str], rung: int) -> str:
        label, steps = self.found.metric["label"], self.found.rungs[rung].steps
        among = len([row for row in self.found.rows if row["values"]])
        value = self.found.row(best[0])["values"][rung]
        second = f"; next {best[1]} with {self.found.row(best[1])['values'][rung]:.4g}" if len(best) > 1 else ""
        tied = len(auto_recipe.equals(self.found.rows, rung, best[0]))
        place = "the best" if tied == 1 else f"one of the {tied} equally good best"
        told = f"{best[0]}: {place} of {among} recipes by validation {label}, {value:.4g} after {steps} steps{second}."
        return told + (f" {self.found.ended}" if self.found.ended else "") + " One seed; close values may be noise."

    def _left(self) -> list[str]:
        if not self.found.fitting:
            raise self._none_fits(self.found.rows)
        return self.found.fitting

    @staticmethod
    def _none_fits(rows: list[dict[str, Any]]) -> InvalidConfig:
        told = "; ".join(f"{row['recipe']}: {row['note']}" for row in rows)
        return InvalidConfig(
            f"No recipe fits teacher, data and task. {told}",
            "Correct what the reasons name, or name a recipe.",
            {"field": "recipe", "reasons": {row["recipe"]: row["note"] for row in rows}},
        )


def _steps_of(session: Session, spec: RunSpec) -> int:
    """Steps of the job's own training."""
    data = session.task.train_data()
    batches = max(1, data.size // spec.config.batch_size)
    return length(spec.config, batches).total_steps
