"""Memory, disk and minutes of a job that is not queued, each with its basis and its range."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from api.resources.jobs import recipe_choice, throughput
from api.resources.jobs.measuring import questions
from api.resources.jobs.plan import Plan
from api.resources.jobs.processes import LIVE_SECONDS
from api.resources.jobs.schemas import Estimate, Estimates
from api.services import optimizers
from distill import auto_recipe, estimate, recipes, tasks
from distill.estimate import NetworkCost, Workload
from distill.tasks.forecast import forecast, of
from distill.types import DistillConfig
from store.repositories import history, system

FORMULA_FACTOR, MEASURED_FACTOR = 2.0, 1.25  # how far memory may be off (our choice)
DISK_FACTOR = 1.5


def estimates(session: Session, plan: Plan, config: DistillConfig, found: dict[str, Any], shares: int = 1) -> Estimates:
    """Every figure that what is known allows, and notes on those it does not. `shares`: in how many the networks lie
    while they train."""
    if plan.candidates:
        each = [(name, auto_recipe.variant(config, name)) for name in plan.candidates]
        found_of = [(name, _estimates(session, plan, own, found, shares)) for name, own in each]
        return recipe_choice.estimated(found_of, config.auto_minutes)
    return _estimates(session, plan, config, found, shares)


def _estimates(session: Session, plan: Plan, config: DistillConfig, found: dict[str, Any], shares: int) -> Estimates:
    wanted = questions(plan, config)
    counted = {role: answer["cost"] for role, answer in found.items() if role in wanted and "cost" in answer}
    if not wanted or not wanted.keys() <= counted.keys():
        return Estimates(memory_bytes=None, disk_bytes=None, minutes=None, notes=[_unknown(plan, config, found)])
    kept = optimizers.facts(session, config.optimizer).kept(config)
    work = replace(workload(plan, config, counted), optimizer_state=kept, shares=shares)
    runs = history.latest(session)
    return Estimates(
        memory_bytes=_memory(work, plan, runs),
        disk_bytes=_disk(work),
        minutes=_minutes(work, plan, config, runs, _gpu(session)),
        notes=_notes(plan, config),
    )


def workload(plan: Plan, config: DistillConfig, counted: dict[str, dict[str, Any]]) -> Workload:
    """`counted`: what workers answered, by role."""
    spec, rules = of(plan.task)
    parts, counts = plan.parts(config), (plan.dataset.report or {})["counts"]
    teachers = [NetworkCost.of(cost) for role, cost in counted.items() if role != "student"]
    unlabelled = {} if recipes.needs_labels(config.recipe) else (plan.dataset.report or {}).get("without_label", {})
    there = {split: sum(counts[split]) + unlabelled.get(split, 0) for split in ("train", "test")}
    train, validation, test = estimate.split_sizes(there["train"], there["test"], config)
    return Workload(
        config=config,
        student=NetworkCost.of(counted["student"]),
        teacher=NetworkCost.together(teachers),
        needs_layers=recipes.registry.flag(config.recipe, "needs_layers", default=True),
        train=train,
        validation=validation,
        test=test,
        sample=rules.work(parts, counted, test),
        input_bytes=plan.input_bytes,
        classes=parts.classes or 0,
        fits_head="fit_head" in spec.settings,
        remembered=recipes.remembered(config.recipe, config.recipe_parameters),
    )


def _memory(work: Workload, plan: Plan, runs: list[history.Run]) -> Estimate:
    student, batch = plan.student.model_dump(mode="json"), work.config.batch_size
    like = [
        run.peak_bytes
        for run in runs
        if run.peak_bytes and run.student == student and run.config.get("batch_size") == batch
        and run.config.get("optimizer", "adamw") == work.config.optimizer
        and run.recipe == work.config.recipe and _same_teacher(run, plan, work)
        and _as_many(run.result.get("dataset", {}).get("train"), work.train)
        and (run.result.get("student") or {}).get("parameters") == work.student.parameters
    ]  # fmt: skip
    if like and work.shares == 1:
        basis = f"the peak of {len(like)} earlier jobs with these networks, this recipe, batch and number of samples"
        return _figure(max(like), MEASURED_FACTOR, basis)
    basis = (
        f"formula: a process of {estimate.PROCESS_BYTES >> 20} MiB, {work.student.parameters:,} trained parameters "
        f"with {work.optimizer_state:g} values each that {work.config.optimizer} keeps"
        f"{f', in {work.shares} shares' if work.shares > 1 else ''}, "
        f"a batch of {batch} with {work.student.activation_bytes:,} bytes of activations a sample, teacher, targets, "
        f"scoring within its budget{', evaluation' if work.sample.evaluation_bytes else ''}"
        f"{', what the recipe remembers of every sample' if work.remembered else ''}"
    )
    return _figure(estimate.memory_bytes(work), FORMULA_FACTOR, basis)


def _as_many(used: Any, wanted: int) -> bool:
    """Within 2 %: a stratified split rounds in every class."""
    return isinstance(used, int) and abs(used - wanted) <= 0.02 * wanted


def _same_teacher(run: history.Run, plan: Plan, work: Workload) -> bool:
    """Of one architecture, of several one by one; where its name says the family alone, the very same file."""
    if work.teacher is None or not plan.teachers:
        return not run.result.get("teacher")
    if tasks.spec(plan.task).container == "folder":
        return bool((run.result.get("digests") or {}).get("teacher") == plan.teachers[0].sha256)
    theirs = run.result.get("teachers") or [run.result.get("teacher") or {}]  # earlier releases had one
    ours = [(teacher.report or {}).get("architecture") for teacher in plan.teachers]
    return [_name(each.get("architecture")) for each in theirs] == [_name(each) for each in ours]


def _name(architecture: dict[str, Any] | None) -> str | None:
    return json.dumps(architecture, sort_keys=True) if architecture else None


def _disk(work: Workload) -> Estimate:
    basis = (
        "formula: inputs once on the worker; two checkpoints (every parameter with what the optimizer keeps) and "
        "the exports, each on the worker and in the store; targets beyond cache_memory_bytes"
    )
    return _figure(estimate.disk_bytes(work), DISK_FACTOR, basis)


def _minutes(work: Workload, plan: Plan, config: DistillConfig, runs: list[history.Run], gpu: bool) -> Estimate:
    student = plan.student.model_dump(mode="json")
    took = throughput.duration(work, plan.task, student, config.recipe, throughput.seen(runs), gpu)
    return Estimate(value=took.seconds / 60, low=took.low / 60, high=took.high / 60, basis=took.basis)


def _figure(value: float, factor: float, basis: str) -> Estimate:
    return Estimate(value=round(value), low=round(value / factor), high=round(value * factor), basis=basis)


def _gpu(session: Session) -> bool:
    return any(worker.info.get("gpus") for worker in system.live_workers(session, LIVE_SECONDS))


def _notes(plan: Plan, config: DistillConfig) -> list[str]:
    notes = ["Time in the queue is not included.", *forecast(plan.task).notes]
    if config.device.startswith("cuda"):
        notes.append("Memory is the host's; the accelerator's own is not estimated.")
    return notes


def _unknown(plan: Plan, config: DistillConfig, found: dict[str, Any]) -> str:
    failed = next((answer["error"]["message"] for answer in found.values() if "error" in answer), None)
    if failed:
        return f"A network could not be measured: {failed}"
    unmeasured = "No worker has measured these networks yet; ask again in a few seconds, while one is running."
    return forecast(plan.task).missing(plan.parts(config)) or unmeasured
