"""What a publication's attempt needs: read from the database at once."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from distill.tasks import of_report
from publishing.bundle import BundleMetric, BundleSource
from store.repositories import jobs, secrets
from store.tables import Artifact, Dataset, Job, JobEvent, Metric, Secret, Teacher
from worker.errors import InputGone

STUDENT = "student."
_HUB = re.compile(r"hf://datasets/([^/]+/[^/@]+)@([0-9a-f]{40})/")


@dataclass(frozen=True, slots=True)
class Published:
    """Rows, detached from their session. `job`: the one that made the student; `files`: its own, and those that later
    exports made of its student; `sources`: repositories of the hub that teachers and dataset came from; `secret`: None
    where the publication names none, or it is gone."""

    publication: Job
    job: Job
    task: str
    files: list[Artifact]
    metrics: list[BundleMetric]
    sources: list[BundleSource]
    secret: Secret | None


def read(session: Session, job_id: str) -> Published:
    """Raises `InputGone` where the student's files are gone."""
    publication = session.get_one(Job, job_id)
    job = session.get(Job, publication.student_of or "")
    files = [] if job is None else _files(session, job)
    if job is None or not any(each.name in jobs.STUDENTS for each in files):
        whose = publication.student_of
        raise InputGone(f"The files of {whose}, which are to be published, are gone.", "Train the student again.")
    dataset = session.get_one(Dataset, job.dataset_id)
    name = (publication.publication or {}).get("secret")
    secret = secrets.get(session, publication.tenant_id, name) if name else None
    task = dataset.task or of_report(dataset.report)
    sources = [*_teachers(session, job), *_datasets(dataset)]
    return Published(publication, job, task, files, _metrics(session, job.id), sources, secret)


def _teachers(session: Session, job: Job) -> list[BundleSource]:
    rows = [session.get(Teacher, teacher_id) for teacher_id in jobs.teacher_ids(session, job)]
    found = [(row.source or {}).get("huggingface") for row in rows if row is not None]
    return [BundleSource(kind="model", repository=each["repo_id"], revision=each["revision"]) for each in found if each]


def _datasets(row: Dataset) -> list[BundleSource]:
    """Each repository once, whatever files of it were taken."""
    urls = [_HUB.match(str(file.get("url", ""))) for file in row.files.values()]
    named = dict.fromkeys(found.groups() for found in urls if found)
    return [BundleSource(kind="dataset", repository=name, revision=revision) for name, revision in named]


def _files(session: Session, job: Job) -> list[Artifact]:
    """Of an export only what is the student: its report tells of one format alone. The newest of a name counts."""
    found = {row.name: row for row in jobs.artifacts(session, job.id)}
    for export in jobs.exports(session, job.id):
        if export.status == "succeeded":
            found |= {row.name: row for row in jobs.artifacts(session, export.id) if row.name.startswith(STUDENT)}
    return [found[name] for name in sorted(found)]


def _metrics(session: Session, job_id: str) -> list[BundleMetric]:
    """The history in the order of its steps. Its times are those of its events, as long as they are kept."""
    told = select(JobEvent.data, JobEvent.created_at).where(JobEvent.job_id == job_id, JobEvent.kind == "metrics")
    at = {(data["split"], data["step"]): when.timestamp() for data, when in session.execute(told)}
    rows = session.scalars(select(Metric).where(Metric.job_id == job_id).order_by(Metric.step, Metric.split))
    return [
        BundleMetric(split=row.split, step=row.step, epoch=row.epoch, values=_numbers(row), at=at.get(_key(row)))
        for row in rows
    ]


def _key(row: Metric) -> tuple[str, int]:
    return row.split, row.step


def _numbers(row: Metric) -> dict[str, float | None]:
    return {name: value for name, value in row.values.items() if isinstance(value, int | float)}
