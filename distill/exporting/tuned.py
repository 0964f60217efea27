"""A student trained further with int8's rounding in its forward pass, by the recipe that made it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

from distill import offload
from distill.control import Control
from distill.errors import UserError
from distill.exporting.subject import Subject
from distill.exporting.written import refusing
from distill.fake_quantised import FakeQuantised
from distill.passing import passing
from distill.tasks.base import Report, Task
from distill.tasks.set_up import Distilled, recipe_on
from distill.tasks.teacher_set import layer_of, weights_of
from distill.traced import Traced
from distill.train import Outcome, train
from distill.training.rng import seed_everything
from distill.types import DistillConfig, Event


class NotTrainable(UserError):
    """What the recipe trained is not what is to be exported."""

    code = "not_exportable"


@dataclass(frozen=True)
class Tuned:
    """`traced`: the graph of the trained network with int8 weights. `told`: what `exports.json` says of the training:
    `epochs`, `steps`, `seconds`, `learning_rate` (its peak), `validation` (of the rounded student), and the first four
    of the training of `projectors` before it, or None."""

    traced: Traced
    told: Report


def tuned(subject: Subject, exporter: Any, title: str, control: Control) -> Generator[Event, None, Tuned | None]:
    """Train a copy of the student by the job's recipe, layers, data and teacher with `FakeQuantised` in its place:
    `exporter.epochs` epochs on a cosine from `exporter.rate` times the job's peak rate to 0, in fp32. The feature term
    sees rounded features, and a recipe that detaches the head from the backbone does so here too.

    What the recipe trains beside the student (projectors) is not kept with a finished student and begins from noise.
    It is trained first, for as many epochs from the job's peak rate, with the student as it is: gradients through
    projectors of noise would take a finished student apart (as those through a new head do: Kumar et al. 2022,
    arXiv 2202.10054). None after `control.handover`: another attempt begins it anew. Raises `NotTrainable`,
    `NotExportable`, and what training raises."""
    task, report = subject.task, subject.context.report
    if subject.context.name != "student":
        raise NotTrainable(
            f"The recipe does not train the {subject.context.name} network as one, so it cannot be trained with "
            "rounding.",
            "Ask for onnx-int8 without quantisation_aware of it.",
            {"format": title, "network": subject.context.name},
        )
    layers = distilled(task, report)
    with refusing(title):
        base = subject.context.delivery.graph(subject.context)
        student = FakeQuantised(base.module, base.example, layers.student_layers)
        student.see(subject.samples(base, exporter.calibration_samples)).on(task.device)
    named = tuple(student.called[name] for name in layers.student_layers)
    config = shortened(task.config, report, exporter)
    seed_everything(config.seed)
    recipe = recipe_on(task, student, replace(layers, student_layers=named))
    yield Event("log", {"level": "info", "message": f"Training {config.epochs} epochs with int8's rounding."})
    own, before = Control(), control.stop  # a run that was stopped is trained all the same

    def see(event: Event) -> Iterator[Event]:
        own.handover, own.stop = control.handover, control.stop and not before
        if event.kind == "warning" or (event.kind == "metrics" and event.data["split"] == "validation"):
            yield Event("log", {"level": "info", "message": f"With int8's rounding: {_said(event)}"})

    def trained(config: DistillConfig, name: str) -> Generator[Event, None, Outcome]:
        return (yield from passing(train(recipe, task.train_data(), config, subject.scratch / name, own), see))

    student.requires_grad_(requires_grad=False)
    first: Report | None = None
    if any(parameter.requires_grad for parameter in recipe.parameters()):
        peak = float(report["configuration"]["learning_rate"])
        fitted = yield from trained(config.model_copy(update={"learning_rate": peak}), "projectors")
        if fitted.ending == "handover":
            return None
        first = {"epochs": config.epochs, "steps": fitted.step, "seconds": fitted.seconds, "learning_rate": peak}
    student.requires_grad_(requires_grad=True)
    outcome = yield from trained(config, "tuning")
    if outcome.ending == "handover":
        return None
    with refusing(title):
        graph = replace(base, module=student.converted())
        graph = subject.context.delivery.of_pixels(subject.context, graph) if exporter.pixels else graph
    folder = subject.scratch / f"tuned-{exporter.pixels:d}"
    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "epochs": config.epochs, "steps": outcome.step, "seconds": outcome.seconds,
        "learning_rate": config.learning_rate, "validation": outcome.validation, "projectors": first,
    }  # fmt: skip
    return Tuned(Traced(graph, lambda count: subject.samples(graph, count), folder), told)


def distilled(task: Task, report: Report) -> Distilled:
    """The layers that the run distilled, as its report names them; of a set of teachers those of each."""
    columns = report["teachers"] if len(task.teachers) > 1 else [report]
    known = [(number, each["selection"]) for number, each in enumerate(columns) if each.get("selection")]
    if not known or not task.recipe.needs_layers:
        return Distilled()
    students, teachers, shapes, shares = list[str](), list[str](), list[tuple[int, ...]](), list[float]()
    weights = weights_of(task.config.teacher_weights, len(columns))
    for number, selection in known:
        names = selection["teacher_layers"]
        students += selection["student_layers"]
        teachers += [layer_of(number, len(columns), name) for name in names]
        shapes += _shapes(task, task.teachers[number][0], names)
        shares += [weights[number]] * len(names)
    return Distilled(
        tuple(students), tuple(teachers), tuple(_shapes(task, task.student, students)), tuple(shapes), tuple(shares)
    )


def _shapes(task: Task, network: Any, names: list[str]) -> list[tuple[int, ...]]:
    """Of one sample, in the order of the names, of which some may come twice."""
    offload.put(network.module, task.device)
    found = {layer.name: layer.shape for layer in task.layers(network, list(dict.fromkeys(names)))}
    return [found[name] for name in names]


def shortened(config: DistillConfig, report: Report, exporter: Any) -> DistillConfig:
    """The run's configuration for the epochs with rounding. **Our choice**: what shapes a long training from noise
    (moving averages, stochastic depth, rates by depth, a classifier fitted at the end, a preset's schedule) is left
    out."""
    peak = float(report["configuration"]["learning_rate"])
    return config.model_copy(
        update={
            "epochs": exporter.epochs, "max_steps": None, "schedule": "cosine", "warmup_fraction": "auto",
            "learning_rate": exporter.rate * peak, "backbone_learning_rate": "auto", "layer_decay": 1.0,
            "drop_path": "auto", "fit_head": False, "ema_decay": None, "precision": "fp32", "channels_last": False,
            "compile": False, "preset": None, "exports": [],
        }
    )  # fmt: skip


def _said(event: Event) -> str:
    if event.kind == "warning":
        return str(event.data["message"])
    values = ", ".join(f"{name} {value:.4f}" for name, value in event.data["values"].items())
    return f"validation after {event.data['step']} steps: {values}."
