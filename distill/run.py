"""One whole job on local disk: score the teacher, choose layers, train, evaluate, package.

for event in run(spec, Path("out"), Control()):
    print(event.kind, event.data)
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from distill import auto_recipe, offload, processes, tasks
from distill.control import Control
from distill.errors import OutOfMemoryGpu, OutOfMemoryHost
from distill.export import export
from distill.exporting.all import export_all
from distill.exporting.subject import Subject
from distill.layers.modes import clear_caches
from distill.passing import passing
from distill.running.assess import evaluate
from distill.running.building import build_recipe
from distill.running.choosing import Chosen, choose_recipe
from distill.running.chosen_layers import check_layers, choose_layers
from distill.running.companions import companion_contexts
from distill.running.exporting import export_later
from distill.running.norms import norms_of
from distill.running.session import Session
from distill.running.teacher_check import look_at_teacher
from distill.train import train
from distill.training import distributed
from distill.training.loop import Outcome
from distill.training.rng import seed_everything
from distill.training.threads import settle
from distill.types import OF_THE_CHOICE, Event, RunSpec

Events = Iterator[Event]


def run(spec: RunSpec, folder: Path, control: Control) -> Events:
    """Run the job in `folder`; ends with `result` and `done`, or without them after `control.handover`.

    Folders below `folder`: `artifacts` (an `artifact` event follows each finished file), `checkpoints`, `work`.
    With `spec.export` nothing is trained: a finished student is exported. Else it continues from `spec.resume_from`; a
    finished Q curve is taken from the checkpoint, from `folder` or from `spec.reuse_curves`, if its digest says that it
    is the same. With the recipe `auto` one is chosen first (`distill.running.choosing`).
    Under torchrun, inside `distill.training.distributed.group()`, every process calls `run`; they share training,
    scoring and evaluation, the first alone writes and packages, and the others' events are copies to be ignored.
    Raises RetortError: UserError for what cannot work, Diverged, AtChance, OutOfMemoryHost, OutOfMemoryGpu.
    """
    shares = spec.sharding == "full" and processes.world() > 1
    with memory_errors(), distributed.in_shares(shares), offload.offloading(shares):
        threads = settle()
        if spec.export is not None:
            yield from export_later(spec, folder, control)
            return
        chosen = None
        if auto_recipe.asked(spec.config):
            chosen = yield from choose_recipe(spec, folder, control)
            if chosen is None:
                return
        session = Session.open(chosen.spec if chosen else spec, folder, control)
        session.task.reasons["threads"] = threads
        if chosen:
            _take_over(session, chosen)
        yield from _phases(session, chosen)


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


def _take_over(session: Session, chosen: Chosen) -> None:
    """What the choice of the recipe leaves to the run."""
    session.choice = chosen.choice
    session.task.reasons["recipe"] = chosen.choice["reason"]
    if chosen.curves and not session.spec.resume_from:
        session.carry = session.carry | {"curves": chosen.curves}


def _phases(session: Session, chosen: Chosen | None = None) -> Events:
    """The phases in order; each reads the session and leaves its result there."""
    check_layers(session)
    yield from look_at_teacher(session)
    if chosen and chosen.warning:
        yield _noted(Event("warning", chosen.warning.to_dict()), session)
        yield Event("log", {"level": "warning", "message": str(chosen.warning)})
    yield from choose_layers(session)
    if session.leaving():
        return
    outcome = yield from _distil(session)
    if session.leaving():
        return
    yield Event("phase", {"phase": "evaluating"})
    session.report = evaluate(session, outcome)
    if distributed.rank() > 0:
        return
    yield from _test_metrics(session)
    if session.control.handover:
        return
    yield Event("phase", {"phase": "packaging"})
    yield from _package(session)
    if session.control.handover:
        return
    yield Event("result", summary(session.report))
    yield Event("done", {})


def _distil(session: Session) -> Generator[Event, None, Outcome]:
    task = session.task
    yield Event("phase", {"phase": "distilling"})
    seed_everything(session.config.seed)  # scoring may have been skipped: the draws must not depend on it
    recipe, data = build_recipe(session), task.train_data()
    session.recipe = recipe
    for message in task.warnings():
        yield Event("log", {"level": "warning", "message": message})
    session.metrics = session.carry.get("metrics", [])
    # `metrics` grows as they come, so that every checkpoint carries those before it.
    carry = {
        "curves": [curve.to_dict() for curve in session.curves],
        "metrics": session.metrics,
        "warnings": session.warnings,
    } | ({"choice": session.choice} if session.choice else {})
    events = train(
        recipe, data, session.config, session.folder / "checkpoints", session.control, session.spec.resume_from,
        carry=carry, norms=norms_of(session),
    )  # fmt: skip
    outcome = yield from passing(events, lambda event: (_noted(event, session),))
    task.student.module.load_state_dict(recipe.exported().state_dict())
    clear_caches(task.student.module)
    return outcome


def _noted(event: Event, session: Session) -> Event:
    """What the session keeps of the loop's events."""
    task = session.task
    if event.kind == "metrics":
        if event.data["split"] == "validation":
            event.data["values"] |= task.metrics(event.data["values"])
        session.metrics.append(event.data)
    if event.kind == "warning":
        session.warnings.append(event.data)
    if event.kind == "resolved":
        config = event.data["config"] | task.student.preprocessing.resolved()
        config |= {"teacher_classes": task.teacher_classes.said} | task.decided()
        foreign = of_some_tasks() - task.spec.settings
        given = session.config.model_dump()
        config = {key: value for key, value in config.items() if key not in foreign or given[key] != "auto"}
        if config["layers"] == "auto":
            config["layers"] = None  # no layers are distilled
        for name in OF_THE_CHOICE:  # the choice of a recipe says itself what it went by
            del config[name]
        session.resolved = {"config": config, "reasons": task.reasons | event.data["reasons"]}
        return Event("resolved", session.resolved)
    return event


def of_some_tasks() -> frozenset[str]:
    """Settings that not every task has: a run of another does not echo them while they are `auto`."""
    return frozenset().union(*(tasks.spec(name).settings for name in tasks.names()))


def _test_metrics(session: Session) -> Events:
    """The student's figures on the test set, and the primary one of the networks beside it."""
    report, task = session.report, session.task
    primary = task.metrics_shown[0].name
    figures = (primary, "loss") if task.answer.taught else tuple(metric.name for metric in task.metrics_shown)
    values = {name: _plain(report["student"][name]) for name in figures if name in report["student"]}
    values |= session.task.metrics(values)
    beside = {name: report[name] for name in ("teacher", "comparison")} | report["companions"]
    if len(report["teachers"]) > 1:
        beside |= {f"teacher_{number}": each for number, each in enumerate(report["teachers"], 1)}
    for name, column in beside.items():
        shown = (primary, "knn", "linear_probe")  # a teacher of other classes has no figure of its own
        values |= {f"{name}_{figure}": _plain(column[figure]) for figure in shown if column and figure in column}
    training = report["training"]
    data = {"step": training["steps"], "epoch": training["epochs"], "split": "test", "values": values}
    session.metrics.append(data)
    yield Event("metrics", data)


def _plain(figure: Any) -> float:
    """The number in a column's figure."""
    return float(figure["value"] if isinstance(figure, dict) else figure)


def _package(session: Session) -> Events:
    task, folder = session.task, session.folder / "artifacts"
    offload.take_back(task.student.module)
    companions = tuple(companion_contexts(session))
    if session.config.exports:
        scratch = session.folder / "work" / "exports"
        plain = Subject(task, task.student, task.context(task.student, session.report), scratch)
        beside = (Subject(task, session.companions[each.name], each, scratch) for each in companions)
        made = export_all((plain, *beside), session.config.exports, folder, session.control)
        with processes.alone():  # the first process packages, and no other one waits for it
            session.report["exports"] = yield from made
        if session.control.handover:
            return
    context = replace(
        task.context(task.student, session.report), curves=tuple(session.curves), draws=tuple(session.draws),
        metrics=session.metrics, companions=companions, apart=session.apart,
    )  # fmt: skip
    yield from export(context, folder)


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """The `result` event: the report without the tables that grow with the classes; `report.json` has them."""

    def short(column: dict[str, Any] | None) -> dict[str, Any] | None:
        return column and {key: value for key, value in column.items() if key not in ("per_class", "confusion")}

    columns: dict[str, Any] = {name: short(report[name]) for name in ("student", "teacher", "comparison")}
    columns["teachers"] = [short(column) for column in report["teachers"]]
    columns["companions"] = {name: short(column) for name, column in report["companions"].items()}
    keys: tuple[str, ...] = (
        "schema", "title", "task", "metrics", "recipe", "verdict", "against_teacher", "selection", "training",
        "dataset", "digests",
    )  # fmt: skip
    keys += tuple(name for name in ("exports", "choice") if name in report)
    return columns | {key: report[key] for key in keys} | {"seeds": report["seeds"]}
