"""A student that is cut out of its teacher: the request with the student's architecture and weights in place of how."""

from __future__ import annotations

from sqlalchemy.orm import Session

from api.resources.datasets.service import task_of
from api.resources.jobs import teaching
from api.resources.jobs.findings import Findings
from api.resources.jobs.referring import ready
from api.resources.jobs.schemas import FromTeacher, JobCreate, StudentCreate
from api.state.context import Context
from distill import tasks
from distill.pruned import PrunedStudent, Pruning
from distill.tasks.forecast import Forecast, forecast
from distill.types import Architecture
from store.tables import Dataset, Teacher


async def settled(
    context: Context, tenant: str, body: JobCreate, dataset: str, place: str = "/student", job: str = ""
) -> JobCreate:  # fmt: skip
    """As it is where the student is not a pruned teacher. `place`, `job`: pointers to the student and to the job that
    names teacher and dataset. Raises `Unprocessable` where there is no teacher, or none of several is named, and for
    tasks whose networks are not pruned."""
    if not isinstance(body.student, PrunedStudent):
        return body
    how = body.student.prune

    def look() -> StudentCreate:
        with context.database.read() as session:
            return _student(session, tenant, body, how, dataset, (place, job))

    return body.model_copy(update={"student": await context.lanes.reading.run(look)})


def _student(
    session: Session, tenant: str, body: JobCreate, how: Pruning, dataset_id: str, places: tuple[str, str]
) -> StudentCreate:  # fmt: skip
    findings, known = Findings(), teaching.named(body)
    place, job = places
    wanted = how.teacher or (known[0] if len(known) == 1 else None)
    if wanted is None:
        message = "No teacher is named that could be pruned." if not known else "Several teachers are named."
        findings.add(f"{place}/prune/teacher", message, "Name the teacher to prune.", "teacher_required")
        raise findings.problem()
    pointer = f"{place}/prune/teacher" if how.teacher else f"{job}/teacher"
    teacher = ready(session, tenant, findings, pointer, Teacher, wanted)
    dataset = ready(session, tenant, findings, f"{job}/dataset", Dataset, dataset_id)
    findings.raise_if_any()
    assert teacher is not None
    assert dataset is not None
    _check_task(findings, dataset, place)
    task = task_of(dataset)
    rules, by_weights = (
        (forecast(task), tasks.spec(task).student_weights) if task in tasks.names() else (Forecast(), True)
    )
    if not by_weights and wanted not in known:
        message = "A language model is cut out of the teacher that the job names, whose tokenizer it reads by."
        findings.add(pointer, message, "Name that teacher as the job's.", "invalid_config")
        findings.raise_if_any()
    with findings.at(pointer):
        found = rules.pruned(teacher.report or {}, Architecture.model_validate(teacher.architecture), how)
    findings.raise_if_any()
    # Of a task without weights to name, a student starts from its teacher where its sizes let it.
    weights = {"weights": FromTeacher(teacher=teacher.id, importance=how.importance)} if by_weights else {}
    return StudentCreate(name=found.name, options=found.options, **weights)


def _check_task(findings: Findings, dataset: Dataset, place: str) -> None:
    task = task_of(dataset)
    if task not in tasks.names() or tasks.spec(task).prunes:
        return  # an unknown task is refused with everything else
    spec = tasks.spec(task)
    able = " and ".join(each.title for each in tasks.specs() if each.prunes)
    message = f"{spec.title}: teachers are not pruned; the networks of {able} are."
    findings.add(place, message, "Name a student.", "invalid_config", task=spec.name)
    findings.raise_if_any()
