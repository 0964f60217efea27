"""A study over the students that a budget buys: its candidates become the choices of the student."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api.errors.problems import FieldError, Unprocessable
from api.resources.jobs import budgets
from api.resources.jobs.budgets import Sized
from api.resources.jobs.findings import Findings
from api.resources.studies.schemas import DomainIn, StudyCreate
from api.state.context import Context
from distill.pruned import FAMILY
from distill.search import bought, sizing
from distill.search.space import escaped
from distill.student_budget import BudgetedStudent

STUDENT = bought.STUDENT
STRATEGY = "asha"
"""Of a study over a budget that names none: candidates differ so much that most are given up early."""


@dataclass(frozen=True)
class StudySized:
    """A request whose budget has become choices. `request`: as it was sent; `document`: as the study keeps it, None
    where there was no budget."""

    request: StudyCreate
    body: StudyCreate
    document: dict[str, Any] | None = None


async def settled(context: Context, tenant: str, body: StudyCreate, dataset: str, prefer: str | None) -> StudySized:
    """The request with choices in place of its budget, and its base job with the student that size alone would choose
    where the budget stands there. Raises as `api.resources.jobs.budgets.settled`, pointers into the study."""
    found = _asked(body)
    if found is None:
        return StudySized(body, body)
    place, asked = found
    _check_pruned(body, asked, place)
    base = body.base.model_copy(update={"student": asked})
    try:
        sized = await budgets.counted(context, tenant, base, asked, dataset, prefer)
    except Unprocessable as refused:
        raise moved(refused, place) from refused
    return StudySized(body, _expanded(body, sized), _document(sized))


def _asked(body: StudyCreate) -> tuple[str, BudgetedStudent] | None:
    """Where the budget stands, and what it says. Raises `Unprocessable` for a student that is varied otherwise too."""
    findings, domain = Findings(), body.space.get(STUDENT)
    of_base = isinstance(body.base.student, BudgetedStudent)
    in_space = domain is not None and domain.student is not None
    for pointer in body.space if of_base or in_space else ():
        if pointer.startswith(f"{STUDENT}/") or (pointer == STUDENT and of_base):
            message = "A budget says which students are tried; the space varies the student too."
            findings.add(f"/space/{escaped(pointer)}", message, "Leave one of the two out.", "invalid_config")
    if in_space and domain is not None and domain.model_fields_set - {"student", "when"}:
        message = "Students of a budget have no choices or bounds of their own."
        findings.add(f"/space/{escaped(STUDENT)}", message, "Give student alone.")
    findings.raise_if_any()
    if isinstance(body.base.student, BudgetedStudent):
        return "/base/student", body.base.student
    if domain is not None and domain.student is not None:
        return f"/space/{escaped(STUDENT)}/student", domain.student
    return None


def _check_pruned(body: StudyCreate, asked: BudgetedStudent, place: str) -> None:
    """All students of a study start from the base job's weights, so that pruned ones and others are no choices of one
    place."""
    if FAMILY not in (asked.families or ()) or (asked.families == [FAMILY] and place == "/base/student"):
        return
    findings = Findings()
    message = "Pruned students start from their teacher's weights, and the other students of the study do not."
    remedy = f'Give families ["{FAMILY}"] alone, in the budget of the base job.'
    findings.add(f"{place}/families", message, remedy, "invalid_config")
    findings.raise_if_any()


def moved(refused: Unprocessable, place: str = f"/base{STUDENT}") -> Unprocessable:
    """With pointers into the study instead of into its base job, whose student stands at `place`."""
    errors = [
        FieldError(pointer=_at(error.pointer, place), message=error.message, **{"in": "body"})
        for error in refused.errors
    ]
    return Unprocessable(
        refused.detail, refused.remedy, code=refused.code, errors=errors, details=refused.details,
    )  # fmt: skip


def _at(pointer: str, place: str) -> str:
    inside = pointer == STUDENT or pointer.startswith(f"{STUDENT}/")
    return place + pointer.removeprefix(STUDENT) if inside else f"/base{pointer}"


def _trained(sized: Sized) -> list[sizing.Candidate]:
    return [each for found in sizing.trained(sized.known, sized.budget).values() for each in found]


def _expanded(body: StudyCreate, sized: Sized) -> StudyCreate:
    choices = [each.architecture.model_dump(mode="json") for each in _trained(sized)]
    given = body.space.get(STUDENT)
    domain = DomainIn(choices=choices) if given is None else DomainIn(choices=choices, when=given.when)
    update: dict[str, Any] = {"space": {STUDENT: domain, **{k: v for k, v in body.space.items() if k != STUDENT}}}
    if isinstance(body.base.student, BudgetedStudent):
        update["base"] = budgets.with_student(body.base, sized.chosen.architecture)
    if "strategy" not in body.model_fields_set:
        update["strategy"] = STRATEGY
    return body.model_copy(update=update)


def _document(sized: Sized) -> dict[str, Any]:
    return bought.document(sized.document(), _trained(sized))
