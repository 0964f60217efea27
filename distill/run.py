"""One whole job on local disk: score the teacher, choose layers, train, evaluate, package.

for event in run(spec, Path("out"), Control()):
    print(event.kind, event.data)
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from distill import recipes
from distill.control import Control
from distill.errors import OutOfMemoryGpu, OutOfMemoryHost
from distill.export._base import Context, export
from distill.layers._modes import clear_caches
from distill.recipes._base import Recipe, Setup
from distill.running.assess import evaluate
from distill.running.norms import high_norms, norms_of
from distill.running.pairing import Pairs, check_counts, choose, choose_evenly
from distill.running.prepare import Prepared, prepare
from distill.running.scoring import score_teacher
from distill.train import carried, train
from distill.training import distributed
from distill.training.loop import Outcome
from distill.training.rng import seed_everything
from distill.training.threads import settle
from distill.types import Event, QCurve, RunSpec

Events = Iterator[Event]
OF_ONE_KIND = frozenset({"image_size", "max_length", "text_features"})
"""What only pictures or only texts have: it stays out of the resolved configuration of the other."""
_HIGH = (
    "The features of teacher layer {} are far larger than those of most layers; the loss may diverge on them. If it "
    "does, leave the layer out, or normalise the teacher's features where the recipe can."
)


def run(spec: RunSpec, folder: Path, control: Control) -> Events:
    """Run the job in `folder`; ends with `result` and `done`, or without them after `control.handover`.

    Folders below `folder`: `artifacts` (an `artifact` event follows each finished file), `checkpoints`, `work`.
    Continues from `spec.resume_from`; a finished Q curve is taken from the checkpoint, from `folder` or from
    `spec.reuse_curve`, if its digest says that it is the same.
    Under torchrun, inside `distill.training.distributed.group()`, every process calls `run`; the first alone scores,
    writes, evaluates and packages, and the others' events are copies to be ignored.
    Raises RetortError: UserError for what cannot work, Diverged, AtChance, OutOfMemoryHost, OutOfMemoryGpu.
    """
    with memory_errors():
        yield from _Job(spec, folder, control).events()


@contextmanager
def memory_errors() -> Iterator[None]:
    """Running out of memory as an error of ours, with the remedy."""
    remedy = "Choose a smaller batch_size (with gradient_accumulation for the same step), or a smaller image_size."
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryGpu(f"The accelerator's memory is full: {_first_line(error)}", remedy) from error
    except MemoryError as error:
        raise OutOfMemoryHost("The machine's memory is full.", remedy) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error) and "not enough memory" not in str(error):
            raise
        raise OutOfMemoryHost(f"The machine's memory is full: {_first_line(error)}", remedy) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


class _Job:
    """The phases in order, with what one hands to the next."""

    def __init__(self, spec: RunSpec, folder: Path, control: Control) -> None:
        self.spec, self.folder, self.control = spec, folder, control
        self.carry: dict[str, Any] = carried(spec.resume_from) if spec.resume_from else {}
        self.metrics: list[dict[str, Any]] = []
        self.resolved: dict[str, Any] = {}

    def events(self) -> Events:
        threads = settle()
        prepared = prepare(self.spec, self.folder / "work")
        prepared.reasons["threads"] = threads
        curve, pairs = yield from self._layers(prepared)
        if self._leaving():
            return
        outcome = yield from self._distil(prepared, curve, pairs)
        if self._leaving() or distributed.rank() > 0:
            return
        yield Event("phase", {"phase": "evaluating"})
        selection = pairs.to_dict() if pairs else None
        report = evaluate(prepared, outcome, self.resolved, selection, curve)
        yield from self._test_metrics(report)
        if self.control.handover:
            return
        yield Event("phase", {"phase": "packaging"})
        yield from self._package(prepared, report, curve)
        yield Event("result", summary(report))
        yield Event("done", {})

    def _leaving(self) -> bool:
        """Whether to hand over; several processes follow the first."""
        return distributed.agree(lambda: self.control.handover)

    def _layers(self, prepared: Prepared) -> Generator[Event, None, tuple[QCurve | None, Pairs | None]]:
        """Q curve and pairs, for recipes that need them."""
        if not prepared.recipe.needs_layers or prepared.teacher is None:
            return None, None
        if prepared.unscored:
            return None, (yield from self._unscored(prepared))
        yield Event("phase", {"phase": "scoring"})
        curve = yield from score_teacher(prepared, self.folder / "work", self.carry.get("curve"), self.control)
        if curve is None:
            return None, None
        pairs = choose(prepared, curve)
        prepared.reasons["selection"] = pairs.reason
        yield Event("selection", pairs.to_dict())
        for name in high_norms(curve, pairs):
            yield Event("log", {"level": "warning", "message": _HIGH.format(name)})
        return pairs.marked(curve), pairs

    def _unscored(self, prepared: Prepared) -> Generator[Event, None, Pairs]:
        """Pairs without a curve, and why."""
        check_counts(prepared)
        yield Event("log", {"level": "warning", "message": f"There is no Q curve: {prepared.unscored}."})
        pairs = choose_evenly(prepared)
        prepared.reasons["selection"] = pairs.reason
        yield Event("selection", pairs.to_dict())
        return pairs

    def _distil(self, prepared: Prepared, curve: QCurve | None, pairs: Pairs | None) -> Generator[Event, None, Outcome]:
        yield Event("phase", {"phase": "distilling"})
        seed_everything(self.spec.config.seed)  # scoring may have been skipped: the draws must not depend on it
        recipe, data = build_recipe(prepared, pairs), prepared.train_data()
        for message in prepared.warnings():
            yield Event("log", {"level": "warning", "message": message})
        carry = {"curve": curve.to_dict() if curve else None, "metrics": self.carry.get("metrics", [])}
        self.metrics = carry["metrics"]  # grows as metrics come, so that every checkpoint carries those before it
        events = train(
            recipe, data, prepared.config, self.folder / "checkpoints", self.control,
            self.spec.resume_from, carry=carry, norms=norms_of(prepared, pairs),
        )  # fmt: skip
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                outcome: Outcome = end.value
                prepared.student.module.load_state_dict(recipe.exported().state_dict())
                clear_caches(prepared.student.module)
                return outcome
            yield self._noted(event, prepared)

    def _noted(self, event: Event, prepared: Prepared) -> Event:
        if event.kind == "metrics":
            if event.data["split"] == "validation":
                event.data["values"] |= prepared.further_metrics(event.data["values"]["loss"])
            self.metrics.append(event.data)
        if event.kind == "resolved":
            config = event.data["config"] | prepared.student.preprocessing.resolved()
            config = {key: value for key, value in config.items() if not (key in OF_ONE_KIND and value == "auto")}
            self.resolved = {"config": config, "reasons": prepared.reasons | event.data["reasons"]}
            return Event("resolved", self.resolved)
        return event

    def _test_metrics(self, report: dict[str, Any]) -> Events:
        values = {"accuracy": report["student"]["accuracy"]["value"], "loss": report["student"]["loss"]}
        values |= {name: report["student"][name] for name in ("perplexity",) if name in report["student"]}
        for name in ("teacher", "comparison"):
            if report[name]:
                values[f"{name}_accuracy"] = report[name]["accuracy"]["value"]
        training = report["training"]
        data = {"step": training["steps"], "epoch": training["epochs"], "split": "test", "values": values}
        self.metrics.append(data)
        yield Event("metrics", data)

    def _package(self, prepared: Prepared, report: dict[str, Any], curve: QCurve | None) -> Events:
        student = prepared.student
        context = Context(
            student.module.cpu(), student.architecture, prepared.dataset.classes, student.preprocessing, report,
            curve, self.metrics, prepared.student.tokens, prepared.native,
        )  # fmt: skip
        yield from export(context, self.folder / "artifacts")


def build_recipe(prepared: Prepared, pairs: Pairs | None) -> Recipe:
    """The recipe on the prepared networks and layers."""
    student, teacher = prepared.student, prepared.teacher if prepared.recipe.needs_teacher else None
    setup = Setup(
        student=student.module,
        teacher=teacher.module if teacher else None,
        num_classes=len(prepared.dataset.classes),
        student_layers=pairs.student_names if pairs else (),
        teacher_layers=pairs.teacher_names if pairs else (),
        student_shapes=tuple(layer.shape for layer in pairs.student) if pairs else (),
        teacher_shapes=tuple(layer.shape for layer in pairs.teacher) if pairs else (),
        student_example=student.example(2, prepared.device),
        teacher_example=teacher.example(2, prepared.device) if teacher else None,
        view=prepared.view,
    )
    made: Recipe = recipes.get(prepared.config.recipe)(setup, **prepared.config.recipe_parameters)
    return made


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """The `result` event: the report without tables by class."""

    def short(column: dict[str, Any] | None) -> dict[str, Any] | None:
        return column and {key: value for key, value in column.items() if key != "per_class"}

    columns = {name: short(report[name]) for name in ("student", "teacher", "comparison")}
    keys = ("schema", "title", "recipe", "verdict", "against_teacher", "selection", "training", "dataset", "digests")
    return columns | {key: report[key] for key in keys} | {"seeds": report["seeds"]}
