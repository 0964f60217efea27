"""Whether teacher, student, dataset, recipe and settings are of one task, by what the task says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from api.resources.datasets.service import task_of
from api.resources.jobs import starting
from api.resources.jobs.findings import Findings
from api.resources.jobs.schemas import JobCreate
from distill import presets, recipes, tasks
from distill.optimisation import Facts, refusals
from distill.tasks import TaskSpec
from distill.tasks.forecast import Parts, absent_layers, forecast, too_few
from distill.tasks.several_teachers import labels, unfit
from distill.types import Architecture, DistillConfig
from store.tables import Dataset, Teacher


def parts(teachers: Sequence[Teacher], student: Architecture, dataset: Dataset, config: DistillConfig) -> Parts:
    """What is known of a job. An older inspection may not have said which architecture a teacher is."""
    needs = needs_teacher(config.recipe) is not False
    called = labels([(teacher.id, teacher.name) for teacher in teachers])
    reports = tuple(
        {"architecture": teacher.architecture} | (teacher.report or {}) | {"label": label}
        for teacher, label in zip(teachers, called, strict=True)
    )
    return Parts(config, student, dataset.report or {}, reports, needs)


def needs_teacher(recipe: str) -> bool | None:
    """Whether it learns from one; None for a recipe that there is not."""
    return recipes.registry.flag(recipe, "needs_teacher", default=True) if recipe in recipes.names() else None


def with_defaults(session: Session, body: JobCreate, dataset: str) -> JobCreate:
    """The request with the task's own values for what its configuration leaves out."""
    row = session.get(Dataset, dataset)
    task = task_of(row) if row is not None else ""
    if task not in tasks.names():
        return body
    return body.model_copy(update={"config": body.config.with_defaults(tasks.spec(task).defaults)})


def check(
    findings: Findings, teachers: Sequence[Teacher], student: Architecture, dataset: Dataset, body: JobCreate,
    probe: Dataset | None = None,
) -> None:  # fmt: skip
    """Note what is of another task than the dataset."""
    task = task_of(dataset)
    if task not in tasks.names():
        message = f"The task of dataset {dataset.id} is not one that this service has: {task or 'none'}."
        findings.add("/dataset", message, "GET /catalogue/tasks lists them.", "kinds_differ")
        return
    spec = tasks.spec(task)
    _check_settings(findings, body.config, spec)
    _check_recipe(findings, body.config.recipe, spec)
    _check_augmentation(findings, body.config.augmentation, spec)
    _check_network(findings, "student", student.name, spec)
    starting.check_task(findings, body, spec)
    _check_probe(findings, probe, spec)
    known = parts(teachers, student, dataset, body.config)
    given = replace(known, probe=None if probe is None else probe.report or {})
    for each in [*too_few(given), *forecast(spec.name).lacking(given)]:
        findings.add(each.pointer, each.message, each.remedy, each.code, **each.details)
    _check_teachers(findings, teachers, spec, known)
    if spec.needs_teacher and body.teacher is None and needs_teacher(body.config.recipe) is False:
        message = f"{spec.title}: every student starts from a teacher, and none is named."
        remedy = "Name a teacher; with a recipe that needs none, it is what the student starts from."
        findings.add("/teacher", message, remedy, "teacher_required")


def check_optimisation(findings: Findings, config: DistillConfig, dataset: Dataset, facts: Facts | None) -> None:
    """Note settings of optimizer and schedule that cannot be meant. `facts`: None for an unknown optimizer."""
    task = task_of(dataset)
    if facts is None or task not in tasks.names():
        return
    for found in refusals(config, facts, tasks.spec(task).modality):
        findings.add(f"/config/{found.field}", found.message, found.remedy, "invalid_config")


def _check_probe(findings: Findings, probe: Dataset | None, spec: TaskSpec) -> None:
    if probe is None:
        return
    if not spec.unlabelled:
        message = f"{spec.title}: every sample has a label, so that no probe is needed."
        findings.add("/probe", message, "Leave the probe out.", "invalid_config")
    elif task_of(probe) != spec.name:
        message = f"The dataset is for {spec.title}, the probe {probe.id} is not."
        findings.add("/probe", message, f"Name a dataset for {spec.title}.", "kinds_differ", task=spec.name)


def _check_settings(findings: Findings, config: DistillConfig, spec: TaskSpec) -> None:
    """Settings of other tasks would be ignored."""
    for name in sorted(set[str]().union(*(each.settings for each in tasks.specs())) - spec.settings):
        if getattr(config, name) != DistillConfig.model_fields[name].default:
            having = " and ".join(each.title for each in tasks.specs() if name in each.settings)
            where, remedy = _whose(config, name)
            message = f"{name} is for {having}; the dataset is for {spec.title}."
            findings.add(f"/config/{where}", message, remedy, "invalid_config", task=spec.name)


def _whose(config: DistillConfig, name: str) -> tuple[str, str]:
    """The field that a setting's value came with, and how to be rid of it."""
    default = DistillConfig.model_fields[name].default
    if presets.sets(config.preset, name, getattr(config, name)):
        return "preset", f"Leave the preset {config.preset} out, or set {name} to {default}."
    return name, f"Leave {name} out."


def _check_recipe(findings: Findings, recipe: str, spec: TaskSpec) -> None:
    if recipe in recipes.names() and not spec.offers(recipe):
        message = f"{spec.title} does not offer the recipe {recipe!r}."
        findings.add("/config/recipe", message, f"Use one of {', '.join(spec.recipes)}.", "invalid_config")


def _check_augmentation(findings: Findings, name: str, spec: TaskSpec) -> None:
    if found := spec.refuses_augmentation(name):
        findings.add("/config/augmentation", found.message, found.remedy, "invalid_config", task=spec.name)


def _check_network(findings: Findings, noun: str, architecture: str, spec: TaskSpec) -> bool:
    """Whether networks of this name answer the task."""
    accepting = tasks.accepting(architecture)
    if spec.name in accepting:
        return True
    if not accepting and findings.names(f"/{noun}"):
        return False  # there is no such network, which is said already
    titles = " and ".join(tasks.spec(name).title for name in accepting) or "no task"
    message = f"The dataset is for {spec.title}, the {noun} {architecture} for {titles}."
    remedy = f"Use a network whose name begins with {tasks.prefixes(spec)}."
    findings.add(f"/{noun}", message, remedy, "kinds_differ", task=spec.name)
    return False


def _check_teachers(findings: Findings, teachers: Sequence[Teacher], spec: TaskSpec, given: Parts) -> None:
    called = [str(report["label"]) for report in given.teachers]
    for found in unfit(spec, given.config, called) if teachers else ():
        pointer = "/teacher" if found.field == "teacher" else f"/config/{found.field}"
        findings.add(pointer, found.message, found.remedy, "invalid_config")
    names = [Architecture.model_validate(teacher.architecture).name for teacher in teachers]
    answering = [name for name in names if _check_network(findings, "teacher", name, spec)]
    if not teachers or len(answering) < len(names):
        return
    misfits = [*forecast(spec.name).misfits(given), *absent_layers(given)]
    for each in misfits:
        findings.add(each.pointer, each.message, each.remedy, each.code, **each.details)
    for teacher in teachers if not misfits else ():
        _check_answers(findings, teacher, spec)


def _check_answers(findings: Findings, teacher: Teacher, spec: TaskSpec) -> None:
    answers = (teacher.report or {}).get("tasks", [spec.name])
    if spec.name not in answers:
        titles = " and ".join(tasks.spec(each).title for each in answers if each in tasks.names())
        message = f"The dataset is for {spec.title}; what the teacher's files hold is for {titles}."
        findings.add("/teacher", message, f"Use a teacher for {spec.title}.", "kinds_differ", task=spec.name)
