"""Everything about a job that can be known before a worker sees it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.resources.datasets.service import task_of
from api.resources.jobs import exporting, fitting, processes, recipe_choice, starting, teaching
from api.resources.jobs.findings import Findings
from api.resources.jobs.plan import Plan
from api.resources.jobs.referring import ready
from api.resources.jobs.schemas import JobCreate
from api.services import architectures, optimizers
from distill import auto_recipe, parameters, presets, pruned, recipes, selection
from distill.optimisation import Facts
from distill.pruned import PrunedStudent
from distill.student_budget import BudgetedStudent
from distill.types import OF_THE_CHOICE, Architecture, DistillConfig
from store.repositories import jobs, system
from store.standing import standing
from store.tables import Dataset, Job


def check(session: Session, tenant: str, body: JobCreate, dataset_id: str) -> Plan:
    """Raises `Unprocessable` with every finding."""
    if auto_recipe.asked(body.config):
        return recipe_choice.checked(body, lambda each: _check(session, tenant, each, dataset_id))
    return _check(session, tenant, body, dataset_id)


def _check(session: Session, tenant: str, body: JobCreate, dataset_id: str) -> Plan:
    findings = Findings()
    _check_config(findings, body.config)
    facts = _optimizer(session, findings, body.config)
    student = _student(session, findings, body)
    starting.check(session, tenant, findings, body, student)
    teachers = teaching.check(session, tenant, findings, body)
    dataset = ready(session, tenant, findings, "/dataset", Dataset, dataset_id)
    exporting.check_all(session, findings, body.config.exports, None if dataset is None else task_of(dataset))
    if dataset is not None:
        probe = ready(session, tenant, findings, "/probe", Dataset, body.probe) if body.probe is not None else None
        fitting.check(findings, teachers, student, dataset, body, probe)
        fitting.check_optimisation(findings, body.config, dataset, facts)
    processes.check(session, findings, body)
    if body.compare_with is not None:
        _check_comparison(session, tenant, findings, body.compare_with, dataset_id)
    findings.raise_if_any()
    assert dataset is not None
    return Plan(student, tuple(teachers), dataset)


def _optimizer(session: Session, findings: Findings, config: DistillConfig) -> Facts | None:
    """What the optimizer has; None where there is no such thing."""
    with findings.at("/config/optimizer"):
        return optimizers.facts(session, config.optimizer)
    return None


def _check_config(findings: Findings, config: DistillConfig) -> None:
    for name in OF_THE_CHOICE:
        if getattr(config, name) != DistillConfig.model_fields[name].default:
            message = f"{name} is of the recipe auto, and the recipe is {config.recipe}."
            findings.add(f"/config/{name}", message, "Leave it out, or set recipe to auto.", "invalid_config")
    with findings.at("/config/preset"):
        presets.check(config.preset)
    with findings.at("/config/recipe"):
        recipes.registry.check(config.recipe)
        with findings.at("/config/recipe_parameters", "parameter"):
            known = recipes.registry.parameters(config.recipe)
            parameters.check(known, config.recipe_parameters)
            parameters.check_beside(known, config.recipe_parameters, config.model_dump())
    with findings.at("/config/selection"):
        if config.selection != "auto":
            selection.registry.check(config.selection)
            with findings.at("/config/selection_parameters", "parameter"):
                parameters.check(selection.registry.parameters(config.selection), config.selection_parameters)
    _check_lists(findings, config)


def _check_lists(findings: Findings, config: DistillConfig) -> None:
    lists = {"teacher_layers": config.teacher_layers, "student_layers": config.student_layers}
    for name, given in lists.items():
        if given is not None and (not given or len(set(given)) != len(given)):
            findings.add(f"/config/{name}", f"{name} is empty or names a layer twice.", "Name each layer once.")
        elif given is not None and config.layers not in ("auto", len(given)):
            message = f"{name} names {len(given)} layers, but layers is {config.layers}."
            findings.add(f"/config/{name}", message, "Leave `layers` out, or make them agree.", "invalid_config")
    both = config.teacher_layers and config.student_layers
    if both and len(config.teacher_layers or ()) != len(config.student_layers or ()):
        message = "teacher_layers and student_layers differ in length; layers pair one to one."
        findings.add("/config/student_layers", message, "Name equally many.", "invalid_config")


def _student(session: Session, findings: Findings, body: JobCreate) -> Architecture:
    given = body.student
    # Of these the student is settled before (api.resources.jobs.budgets, .pruning).
    assert not isinstance(given, BudgetedStudent | PrunedStudent)
    student = (
        Architecture(name=given) if isinstance(given, str) else Architecture(name=given.name, options=given.options)
    )
    pointer = "/student" if isinstance(body.student, str) else "/student/name"
    with findings.at(pointer):
        student = architectures.resolved(session, student)
        known = system.catalogue_entry(session, architectures.KIND, student.name).get("options")
        if known:
            own, pruning = pruned.split(student.options)
            with findings.at("/student/options", "parameter"):
                parameters.check(known, own)
            with findings.at("/student/options", "option"):
                pruned.check(pruning)
            _check_networks(session, findings, known, student)
    return student


def _check_networks(session: Session, findings: Findings, known: dict[str, Any], student: Architecture) -> None:
    """Note options that name a network of timm which there is not."""
    for option, value in student.options.items():
        if known.get(option, {}).get("x-registry") == "architectures" and isinstance(value, str):
            with findings.at(f"/student/options/{option}"):
                architectures.resolved(session, Architecture(name=f"timm:{value.removeprefix('timm:')}"))


def _check_comparison(session: Session, tenant: str, findings: Findings, job_id: str, dataset_id: str) -> None:
    pointer, job = "/compare_with", jobs.get(session, tenant, job_id)
    if job is None or job.student_of is not None:
        findings.add(pointer, f"There is no job {job_id!r}.", "GET /jobs lists them.", "unknown_job")
        return
    if job.status != "succeeded":
        message = f"Job {job_id} {standing(job.status)}; only one that succeeded can be compared with."
        findings.add(pointer, message, "Wait for it, or leave compare_with out.", "job_not_succeeded")
    if not _same_data(session, job, dataset_id):
        message = f"Job {job_id} used another dataset; its figures do not compare."
        findings.add(pointer, message, "Compare with a job on the same dataset.", "datasets_differ")


def _same_data(session: Session, job: Job, dataset_id: str) -> bool:
    if job.dataset_id == dataset_id:
        return True
    one, other = session.get(Dataset, job.dataset_id), session.get(Dataset, dataset_id)
    if one is None or other is None:
        return False
    key = "name" if one.kind == "named" else "digest"
    return bool(one.kind == other.kind and getattr(one, key) == getattr(other, key))
