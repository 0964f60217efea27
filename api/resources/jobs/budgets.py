"""A student by its budget: counted by a worker, chosen by size, before the job is queued."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from api.errors.problems import Conflict
from api.http.negotiation import wait_seconds
from api.resources.datasets.service import task_of
from api.resources.jobs import fitting, measuring, teaching, validation
from api.resources.jobs.findings import Findings
from api.resources.jobs.referring import ready
from api.resources.jobs.schemas import FromTeacher, JobCreate, StudentCreate
from api.services import architectures
from api.state.context import Context
from distill import auto_recipe, tasks
from distill.errors import InvalidConfig, UnknownName
from distill.pruned import is_pruned
from distill.search import sizing
from distill.search.sizing import Candidate
from distill.student_budget import BudgetedStudent, StudentBudget
from distill.tasks.budget_question import question
from distill.tasks.candidates import MOST_CHAINS, Chain
from distill.tasks.forecast import Question, forecast
from distill.types import Architecture
from store.repositories import system
from store.tables import Dataset

PLACE = "/student"


@dataclass(frozen=True)
class Sized:
    """A budget with what a worker counted. `request`: the job as asked for; `about`: how latencies were taken."""

    request: JobCreate
    asked: BudgetedStudent
    known: list[Candidate]
    about: dict[str, Any]

    @property
    def budget(self) -> StudentBudget:
        return self.asked.budget

    @property
    def chosen(self) -> Candidate:
        return sizing.best(self.known, self.budget.limits())[0]

    @property
    def reason(self) -> str:
        others = self.about.get("others")
        busy = others is not None and not self.about["quiet"]
        loud = f". Others took {others:.1f} processors while latencies were measured" if busy else ""
        return sizing.reason(self.known, self.budget) + loud

    def document(self) -> dict[str, Any]:
        """What is kept and shown: the budget, why this student, the candidates, and how they were timed."""
        shown = {"budget": self.budget.model_dump(mode="json"), "families": self.asked.families}
        return shown | {"reason": self.reason, "table": sizing.table(self.known, self.budget), "measured": self.about}


async def settled(
    context: Context, tenant: str, body: JobCreate, dataset: str, prefer: str | None
) -> tuple[JobCreate, Sized | None]:
    """The request with the student that its budget buys; as it is where it names a student. Raises `Unprocessable` for
    what no student could mend and for a budget below the smallest, `Conflict` while nobody has counted."""
    if not isinstance(body.student, BudgetedStudent):
        return body, None
    sized = await counted(context, tenant, body, body.student, dataset, prefer)
    return with_student(body, sized.chosen.architecture), sized


def with_student(body: JobCreate, student: Architecture) -> JobCreate:
    """One of the teacher's own, pruned, starts from its weights."""
    weights = FromTeacher(teacher=teaching.named(body)[0]) if is_pruned(student) else None
    given = {"name": student.name, "options": student.options} | ({"weights": weights} if weights else {})
    return body.model_copy(update={"student": StudentCreate(**given)})


async def counted(
    context: Context, tenant: str, body: JobCreate, asked: BudgetedStudent, dataset: str, prefer: str | None,
    place: str = PLACE,
) -> Sized:  # fmt: skip
    """The candidates of a budget that stands at `place`; at least one is within it."""

    def look() -> tuple[list[Chain], Question]:
        with context.database.read() as session:
            return _question(session, tenant, body, asked, dataset, place)

    chains, wanted = await context.lanes.reading.run(look)
    seconds = wait_seconds(prefer, context.settings.inspect_wait_seconds)
    found = (await measuring.asked(context, {"student": wanted}, seconds)).get("student")
    if found is None:
        detail = "The students that this budget may choose among are still being counted by a worker."
        remedy = "Send it again in a few seconds, while a worker is running."
        raise Conflict(detail, remedy, code="students_not_counted", headers={"Retry-After": "5"}, retryable=True)
    return _sized(body, asked, chains, found, place)


def _question(
    session: Session, tenant: str, body: JobCreate, asked: BudgetedStudent, dataset_id: str, place: str
) -> tuple[list[Chain], Question]:
    """What to ask a worker; everything else of the job is checked first, with the smallest student in its place."""
    findings = Findings()
    dataset = ready(session, tenant, findings, "/dataset", Dataset, dataset_id)
    teachers = teaching.check(session, tenant, findings, body)
    findings.raise_if_any()
    assert dataset is not None
    task, stand_in = task_of(dataset), Architecture(name="retort:resnet8")
    if task not in tasks.names():
        fitting.check(findings, teachers, stand_in, dataset, body)
        findings.raise_if_any()
    rules, parts = forecast(task), fitting.parts(teachers, stand_in, dataset, auto_recipe.representative(body.config))
    if missing := rules.missing(parts):
        findings.add(place, f"No student can be chosen by a budget. {missing}", "Name a student.", "invalid_config")
        findings.raise_if_any()
    chains = _chains(findings, lambda: rules.students(parts, _entries(session), asked.families), place)
    validation.check(session, tenant, with_student(body, chains[0].members[0]), dataset_id)
    return chains, question(rules, parts, chains, asked.budget)


def _entries(session: Session) -> list[dict[str, Any]]:
    found = system.catalogue(session, architectures.KIND)
    if not found:
        raise architectures.no_catalogue()
    return found


def _chains(findings: Findings, find: Callable[[], list[Chain]], place: str) -> list[Chain]:
    """Raises `Unprocessable` where there are none, too many, or families that there are not."""
    chains = list[Chain]()
    try:
        chains = find()
    except UnknownName as error:
        findings.add(f"{place}/families/{error.details['number']}", error.message, error.remedy, error.code)
    except InvalidConfig as error:
        findings.add(f"{place}/families", error.message, error.remedy, error.code, **error.details)
    else:
        if not chains:
            findings.add(place, "The task has no students to choose among.", "Name families.", "invalid_config")
        elif len(chains) > MOST_CHAINS:
            message = f"These families have {len(chains)} networks; {MOST_CHAINS} are the most that are counted."
            findings.add(f"{place}/families", message, "Name fewer families, or single networks.", "invalid_config")
    findings.raise_if_any()
    return chains


def _sized(
    body: JobCreate, asked: BudgetedStudent, chains: Sequence[Chain], found: dict[str, Any], place: str
) -> Sized:  # fmt: skip
    findings = Findings()
    if "error" in found:
        error = found["error"]
        findings.add(place, error["message"], error["remedy"], error["code"])
        findings.raise_if_any()
    answer, limits = found["cost"], asked.budget.limits()
    known = sizing.candidates(chains, answer, asked.budget)
    if not sizing.best(known, limits):
        _refuse(findings, asked.budget, known, answer, place)
    about = {name: answer[name] for name in ("threads", "others", "quiet") if name in answer}
    return Sized(body, asked, known, about)


def _refuse(
    findings: Findings, budget: StudentBudget, known: list[Candidate], answer: dict[str, Any], place: str
) -> None:  # fmt: skip
    """Raise `Unprocessable` with the smallest that can be reached, and why where no network could be counted."""
    least = sizing.smallest(known, budget.limits())
    if least is None:
        errors = [each["error"] for chain in answer["chains"] for each in chain if "error" in each]
        message = f"None of the students could be counted: {next(iter(errors), 'there is none')}"
        findings.add(place, message, "Name other families, or a student.", "invalid_config")
    else:
        message = f"No student of these families is within {sizing.told(budget)}. The smallest is {least.title}: "
        remedy = "Raise the budget to what the smallest costs, or name other families."
        findings.add(
            f"{place}/budget", message + sizing.described(least.figures) + ".", remedy, "budget_unreachable",
            smallest=least.to_dict(),
        )  # fmt: skip
    findings.raise_if_any()
