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

from distill import processes, tasks
from distill.control import Control
from distill.errors import OutOfMemoryGpu, OutOfMemoryHost
from distill.export import export
from distill.exporting.all import export_all
from distill.exporting.subject import Subject
from distill.layers.modes import clear_caches
from distill.recipe_parts.base import Recipe
from distill.running.assess import evaluate
from distill.running.companions import companion_contexts
from distill.running.exporting import export_later
from distill.running.norms import high_norms, norms_of
from distill.running.pairing import check_counts, check_student, choose, choose_evenly
from distill.running.scoring import score_teacher
from distill.running.session import Session
from distill.running.teacher_check import look_at_teacher
from distill.running.teaching import Teaching
from distill.tasks.set_up import Distilled, recipe_on
from distill.tasks.teacher_set import weights_of
from distill.train import train
from distill.training import distributed
from distill.training.loop import Outcome
from distill.training.rng import seed_everything
from distill.training.threads import settle
from distill.types import Event, RunSpec

Events = Iterator[Event]
_HIGH = (
    "The features of teacher layer {} are far larger than those of most layers; the loss may diverge on them. If it "
    "does, leave the layer out, or normalise the teacher's features where the recipe can."
)


def run(spec: RunSpec, folder: Path, control: Control) -> Events:
    """Run the job in `folder`; ends with `result` and `done`, or without them after `control.handover`.

    Folders below `folder`: `artifacts` (an `artifact` event follows each finished file), `checkpoints`, `work`.
    With `spec.export` nothing is trained: a finished student is exported. Else it continues from `spec.resume_from`; a
    finished Q curve is taken from the checkpoint, from `folder` or from `spec.reuse_curves`, if its digest says that it
    is the same.
    Under torchrun, inside `distill.training.distributed.group()`, every process calls `run`; they share training,
    scoring and evaluation, the first alone writes and packages, and the others' events are copies to be ignored.
    Raises RetortError: UserError for what cannot work, Diverged, AtChance, OutOfMemoryHost, OutOfMemoryGpu.
    """
    with memory_errors():
        threads = settle()
        if spec.export is not None:
            yield from export_later(spec, folder, control)
            return
        session = Session.open(spec, folder, control)
        session.task.reasons["threads"] = threads
        yield from _phases(session)


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


def _phases(session: Session) -> Events:
    """The phases in order; each reads the session and leaves its result there."""
    yield from look_at_teacher(session)
    yield from _layers(session)
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


def _layers(session: Session) -> Events:
    """Q curve and pairs, for recipes that need them."""
    if not session.task.recipe.needs_layers or session.task.teacher is None:
        return
    check_counts(session)
    check_student(session)
    for teaching in session.teachings:
        yield from _chosen(session, teaching)
        if teaching.pairs is None:  # handed over
            return
    found = session.pairs
    assert found is not None
    session.task.reasons["selection"] = found.reason


def _chosen(session: Session, teaching: Teaching) -> Events:
    """One teacher's Q curve and pairs; none after `control.handover`."""
    groups = teaching.groups
    if isinstance(groups, str):
        message = teaching.own(f"There is no Q curve: {groups}.")
        yield Event("log", {"level": "warning", "message": message})
        teaching.pairs = choose_evenly(session, teaching, groups)
    else:
        if not teaching.position:
            yield Event("phase", {"phase": "scoring"})
        curve = yield from score_teacher(session, teaching, groups)
        if curve is None:
            return
        teaching.pairs = choose(session, teaching, curve)
        teaching.curve = teaching.pairs.marked(curve)
    yield Event("selection", teaching.pairs.to_dict() | teaching.whose)
    for name in high_norms(teaching.curve, teaching.pairs) if teaching.curve else ():
        yield Event("log", {"level": "warning", "message": teaching.own(_HIGH.format(name))})


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
    }
    events = train(
        recipe, data, session.config, session.folder / "checkpoints", session.control, session.spec.resume_from,
        carry=carry, norms=norms_of(session),
    )  # fmt: skip
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            outcome: Outcome = end.value
            task.student.module.load_state_dict(recipe.exported().state_dict())
            clear_caches(task.student.module)
            return outcome
        yield _noted(event, session)


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
    task.student.module.cpu()
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
        task.context(task.student, session.report), curves=tuple(session.curves), metrics=session.metrics,
        companions=companions, apart=session.apart,
    )  # fmt: skip
    yield from export(context, folder)


def build_recipe(session: Session) -> Recipe:
    """The recipe on the session's networks and layers."""
    return recipe_on(session.task, session.task.student.module, distilled(session))


def distilled(session: Session) -> Distilled:
    """The session's layers, as a recipe is told them."""
    pairs = session.pairs
    if pairs is None:
        return Distilled(teacher_shares=shares(session))
    return Distilled(
        pairs.student_names,
        pairs.teacher_names,
        tuple(layer.shape for layer in pairs.student),
        tuple(layer.shape for layer in pairs.teacher),
        shares(session),
    )


def shares(session: Session) -> tuple[float, ...]:
    """The weight of each pair's teacher; of one teacher 1 each."""
    weights = weights_of(session.config.teacher_weights, len(session.teachings)) if session.teachings else ()
    known = zip(session.teachings, weights, strict=True)
    return tuple(weight for each, weight in known if each.pairs is not None for _ in each.pairs.teacher)


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """The `result` event: the report without the tables that grow with the classes; `report.json` has them."""

    def short(column: dict[str, Any] | None) -> dict[str, Any] | None:
        return column and {key: value for key, value in column.items() if key not in ("per_class", "confusion")}

    columns: dict[str, Any] = {name: short(report[name]) for name in ("student", "teacher", "comparison")}
    columns["teachers"] = [short(column) for column in report["teachers"]]
    columns["companions"] = {name: short(column) for name, column in report["companions"].items()}
    keys = (
        "schema", "title", "task", "metrics", "recipe", "verdict", "against_teacher", "selection", "training",
        "dataset", "digests",
    )  # fmt: skip
    exported = {"exports": report["exports"]} if "exports" in report else {}
    return columns | {key: report[key] for key in keys} | {"seeds": report["seeds"]} | exported
