"""The job that a study varies: as it was asked for, and as trials are made from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from api.resources.jobs import processes, starting, teaching
from api.resources.jobs.plan import Plan
from api.resources.jobs.schemas import FromTeacher, JobCreate, StudentCreate
from api.resources.jobs.service import max_runtime
from api.services import architectures
from distill import presets
from distill.search.space import Domain, Json, Space
from distill.types import Architecture
from store.settings import Settings


def given(base: JobCreate) -> Json:
    """The request for the job as far as it said something itself, its student with name and options: what its preset
    filled in is left out, so that another preset fills it anew."""
    found = base.model_dump(mode="json", exclude_unset=True)
    found["config"] = {
        name: value
        for name, value in base.config.model_dump(mode="json", exclude_unset=True).items()
        if not presets.sets(base.config.preset, name, value)
    }
    if isinstance(base.student, str):
        found["student"] = {"name": base.student, "options": {}}
    return found


def document(settings: Settings, base: JobCreate, plan: Plan) -> Json:
    """What a trial's job is made of (store.study_tables)."""
    config = {name: value for name, value in given(base)["config"].items() if name != "seed"}
    return {
        "teacher": teaching.named(base),
        "dataset": plan.dataset.id,
        "student": plan.student.model_dump(mode="json"),
        "start": starting.reference(base),
        "config": config,
        "probe": base.probe,
        "compare_with": None,
        "labels": base.labels,
        "priority": base.priority,
        "max_attempts": base.max_attempts or settings.max_attempts,
        "max_runtime_seconds": max_runtime(settings, base),
        "processes": processes.column(base.resources),
        "hosts": base.resources.hosts,
        "sharding": base.resources.sharding,
    }


def inputs(base: JobCreate) -> set[str]:
    """Teachers and datasets of the job, those that its student starts from and is judged by among them."""
    found = {*teaching.named(base), *([base.probe] if base.probe else [])}
    weights = base.student.weights if isinstance(base.student, StudentCreate) else None
    if weights is not None:
        named = weights.teacher if isinstance(weights, FromTeacher) else getattr(weights, "checkpoint", None)
        found |= {named} if named else set()
    return found


def settled(session: Session, space: Space) -> Space:
    """The space as jobs are made from it: students with name and options, teachers as lists of ids."""
    return Space([_settle(session, domain) for domain in space.domains])


def _settle(session: Session, domain: Domain) -> Domain:
    def student(choice: Any) -> Any:
        made = Architecture(name=choice) if isinstance(choice, str) else Architecture.model_validate(choice)
        return architectures.resolved(session, made).model_dump(mode="json")

    ways: dict[str, Callable[[Any], Any]] = {
        "/student": student,
        "/student/name": lambda choice: student(choice)["name"],
        "/teacher": lambda choice: choice if isinstance(choice, list) else [choice] if choice else [],
    }
    way = ways.get(domain.pointer)
    if way is None or domain.choices is None:
        return domain
    return Domain(domain.pointer, tuple(way(choice) for choice in domain.choices), when=domain.when)
