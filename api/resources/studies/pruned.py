"""Students of a study that are cut out of its teacher: architectures in place of how, in the base job and among the
choices."""

from __future__ import annotations

from typing import Any, TypeGuard

from pydantic import ValidationError

from api.errors.handlers import members, pointer
from api.errors.problems import Unprocessable
from api.resources.jobs import pruning
from api.resources.jobs.findings import Findings
from api.resources.jobs.schemas import JobCreate, StudentCreate
from api.resources.studies.schemas import StudyCreate
from api.state.context import Context
from distill.pruned import PrunedStudent
from distill.search.bought import STUDENT
from distill.search.space import escaped

CHOICES = f"/space/{escaped(STUDENT)}/choices"


async def settled(context: Context, tenant: str, body: StudyCreate, dataset: str) -> StudyCreate:
    """The request with networks for what is pruned. Raises `Unprocessable` as `api.resources.jobs.pruning.settled`, and
    for choices that would not start as the base job's student does: all students of a study have one start."""
    base = await pruning.settled(context, tenant, body.base, dataset, "/base/student", "/base")
    body, domain = body.model_copy(update={"base": base}), body.space.get(STUDENT)
    if domain is None or not any(map(_is_pruned, domain.choices or ())):
        return body
    findings, found = Findings(), list(domain.choices or ())
    for number, choice in enumerate(found):
        if not _is_pruned(choice):
            continue
        try:
            found[number] = await _choice(context, tenant, base, dataset, choice, f"{CHOICES}/{number}")
        except Unprocessable as refused:
            for error in refused.errors:
                findings.add(error.pointer, error.message, refused.remedy, refused.code, **refused.details)
    findings.raise_if_any()
    space = body.space | {STUDENT: domain.model_copy(update={"choices": found})}
    return body.model_copy(update={"space": space})


def _is_pruned(choice: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(choice, dict) and "prune" in choice


async def _choice(
    context: Context, tenant: str, base: JobCreate, dataset: str, choice: dict[str, Any], place: str
) -> dict[str, Any]:
    findings = Findings()
    try:
        asked = PrunedStudent.model_validate(choice)
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False):
            findings.add(place + pointer(*members(choice, error["loc"], missing=True)), error["msg"])
        raise findings.problem() from invalid
    job = base.model_copy(update={"student": asked})
    made = (await pruning.settled(context, tenant, job, dataset, place, "/base")).student
    assert isinstance(made, StudentCreate)
    if getattr(base.student, "weights", None) != made.weights:
        message = "Pruned students start from their teacher's weights, and the base job's student does not start so."
        remedy = 'Give the base job a student with "prune" of the same teacher and importance.'
        findings.add(place, message, remedy, "invalid_config")
    findings.raise_if_any()
    return made.model_dump(mode="json", include={"name", "options"})
