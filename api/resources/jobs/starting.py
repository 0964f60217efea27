"""What a student starts from, where not from noise: weights that are registered, or a finished job's student."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.resources.jobs.findings import Findings
from api.resources.jobs.referring import ready
from api.resources.jobs.schemas import (
    FromArtifact,
    FromCheckpoint,
    FromTeacher,
    JobCreate,
    StudentCreate,
    StudentWeights,
)
from distill.tasks import TaskSpec
from distill.types import Architecture
from store.repositories import jobs
from store.standing import standing
from store.tables import Job, Teacher

POINTER = "/student/weights"


def weights_of(body: JobCreate) -> StudentWeights | None:
    return body.student.weights if isinstance(body.student, StudentCreate) else None


def reference(body: JobCreate) -> dict[str, Any] | None:
    """As the job's row keeps it: {"teacher": id} or {"artifact": {"job_id", "name"}}, and `map` where there is one."""
    given = weights_of(body)
    if given is None:
        return None
    named = {} if given.map is None else {"map": given.map}
    if isinstance(given, FromArtifact):
        return {"artifact": given.artifact.model_dump(mode="json")} | named
    kept = {"importance": given.importance} if isinstance(given, FromTeacher) and _says(given) else {}
    return {"teacher": _registered(given)} | named | kept


def _says(given: FromTeacher) -> bool:
    """Whether which channels are kept differs from what is left out."""
    return bool(given.importance != FromTeacher.model_fields["importance"].default)


def _registered(given: FromTeacher | FromCheckpoint) -> str:
    return given.teacher if isinstance(given, FromTeacher) else given.checkpoint


def check(session: Session, tenant: str, findings: Findings, body: JobCreate, student: Architecture) -> None:
    """Note what is wrong with the weights that the body names, as far as that is known without opening them."""
    given = weights_of(body)
    if given is None:
        if body.config.backbone_learning_rate != "auto":
            message = "backbone_learning_rate is for a student that starts from given weights."
            remedy = "Leave it out, or name the student's weights."
            findings.add("/config/backbone_learning_rate", message, remedy, "invalid_config")
        return
    if isinstance(given, FromArtifact):
        source = _of_job(session, tenant, findings, given)
    else:
        source = _of_teacher(session, tenant, findings, _registered(given))
    if given.map == {}:
        findings.add(f"{POINTER}/map", "The map names nothing.", "Name what goes where, or leave map out.")
    if source is not None and given.map is None and _library(source) != _library(student):
        message = f"The student {student.name} cannot start from weights of {source.name}: another architecture."
        remedy = "Name weights of the student's own family, or say by a map what goes where."
        findings.add(POINTER, message, remedy, "invalid_config")


def check_task(findings: Findings, body: JobCreate, spec: TaskSpec) -> None:
    """Note weights that the task's students do not start from."""
    if weights_of(body) is None or spec.student_weights:
        return
    message = f"{spec.title}: a student starts from its teacher or from random weights, not from other weights."
    remedy = "Leave weights out; to go on from a student, register it as a teacher and start from that."
    findings.add(POINTER, message, remedy, "invalid_config", task=spec.name)


def _library(architecture: Architecture) -> str:
    return architecture.name.partition(":")[0]


def _of_teacher(session: Session, tenant: str, findings: Findings, teacher_id: str) -> Architecture | None:
    row = ready(session, tenant, findings, POINTER, Teacher, teacher_id)
    if row is None:
        return None
    return Architecture.model_validate((row.report or {}).get("architecture") or row.architecture)


def _of_job(session: Session, tenant: str, findings: Findings, given: FromArtifact) -> Architecture | None:
    job = jobs.get(session, tenant, given.artifact.job_id)
    if job is None:
        findings.add(POINTER, f"There is no job {given.artifact.job_id!r}.", "GET /jobs lists them.", "unknown_job")
        return None
    if job.status != "succeeded":
        message = f"Job {job.id} {standing(job.status)}; only one that succeeded has a student."
        findings.add(POINTER, message, "Wait until it has succeeded.", "job_not_succeeded")
        return None
    if not _has(session, job, given.artifact.name):
        message = f"Job {job.id} has no weights {given.artifact.name!r}."
        findings.add(POINTER, message, "Name the job's student.", "invalid_request")
        return None
    return Architecture.model_validate(job.student)


def _has(session: Session, job: Job, name: str) -> bool:
    return name in jobs.STUDENTS and jobs.student(session, job.id) is not None
