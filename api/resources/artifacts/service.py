"""Files that jobs made."""

from __future__ import annotations

from urllib.parse import quote

from sqlalchemy.orm import Session

from api.errors.problems import NotFound
from api.http.files import StoredFile
from api.resources.artifacts.schemas import ArtifactOut
from api.resources.jobs.service import find
from store.repositories import jobs
from store.standing import standing
from store.tables import Artifact

REPORTS = {"text/markdown": "report.md", "application/json": "report.json"}


def stored(session: Session, tenant: str, job_id: str, name: str) -> StoredFile:
    """The artifact as a file. Raises `NotFound`, which says why when the job has not made it yet."""
    job = find(session, tenant, job_id)
    row = jobs.artifact(session, job.id, name)
    if row is None:
        why = "" if job.status == "succeeded" else f" It {standing(job.status)}; files come when it succeeds."
        remedy = f"GET /jobs/{job.id}/artifacts lists its files."
        raise NotFound(f"Job {job.id} has no file {name!r}.{why}", remedy, code="no_such_artifact")
    filename = row.name.rpartition("/")[2]
    return StoredFile(row.object_key, filename, row.media_type, row.size_bytes, row.sha256)


def student_name(session: Session, tenant: str, job_id: str) -> str:
    """What the job's student is called."""
    job = find(session, tenant, job_id)
    found = jobs.student(session, job.id)
    return jobs.STUDENTS[0] if found is None else found.name


def shown(row: Artifact) -> ArtifactOut:
    return ArtifactOut(
        name=row.name,
        media_type=row.media_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        created_at=row.created_at,
        href=f"/jobs/{row.job_id}/artifacts/{quote(row.name)}",
    )
