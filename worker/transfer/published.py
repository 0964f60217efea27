"""What a publication's attempt needs: read from the database at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

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
    where the publication names none, or it is gone; `seen`: number of the last of the job's events that `metrics` has.
    """

    publication: Job
    job: Job
    task: str
    files: list[Artifact]
    metrics: list[BundleMetric]
    sources: list[BundleSource]
    secret: Secret | None
    seen: int


@dataclass(frozen=True, slots=True)
class News:
    """What a job has said behind its event number `seen` before. `config`: what the run made of it; None until then."""

    metrics: list[BundleMetric]
    seen: int
    status: str
    config: dict[str, Any] | None


def read(session: Session, job_id: str) -> Published:
    """Raises `InputGone` where the student's files are gone. Of a job that has not succeeded there are none."""
    publication = session.get_one(Job, job_id)
    job = session.get(Job, publication.student_of or "")
    files = _files(session, job) if job is not None and job.status == "succeeded" else []
    has_student = any(each.name in jobs.STUDENTS for each in files)
    if job is None or (job.status == "succeeded" and not has_student):
        whose = publication.student_of
        raise InputGone(f"The files of {whose}, which are to be published, are gone.", "Train the student again.")
    dataset = session.get_one(Dataset, job.dataset_id)
    name = (publication.publication or {}).get("secret")
    secret = secrets.get(session, publication.tenant_id, name) if name else None
    task = dataset.task or of_report(dataset.report)
    sources = [*_teachers(session, job), *_datasets(dataset)]
    return Published(publication, job, task, files, _metrics(session, job.id), sources, secret, job.event_seq)


def news(session: Session, job_id: str, seen: int, limit: int) -> News:
    """At most `limit` rows of metrics. Raises `InputGone` where the job was deleted."""
    job = session.get(Job, job_id)
    if job is None:
        raise InputGone(f"The job {job_id} was deleted.", "Submit it again.")
    said = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.kind == "metrics", JobEvent.seq > seen)
    rows = list(session.scalars(said.order_by(JobEvent.seq).limit(limit)))
    metrics = [_row(each.data, each.created_at.timestamp()) for each in rows]
    config = (job.resolved or {}).get("config")
    return News(metrics, rows[-1].seq if rows else seen, job.status, config)


def _row(data: dict[str, Any], at: float) -> BundleMetric:
    facts: dict[str, Any] = {name: data[name] for name in ("split", "step", "epoch")}
    return BundleMetric(values=_numbers(data["values"]), at=at, **facts)


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
        BundleMetric(split=row.split, step=row.step, epoch=row.epoch, values=_numbers(row.values), at=at.get(_key(row)))
        for row in rows
    ]


def _key(row: Metric) -> tuple[str, int]:
    return row.split, row.step


def _numbers(values: dict[str, Any]) -> dict[str, float | None]:
    return {name: value for name, value in values.items() if isinstance(value, int | float)}
