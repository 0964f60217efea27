"""What a job made, of what, in one signed file."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy.orm import Session

from api.errors.problems import Conflict, Unavailable
from api.resources.jobs.service import find
from store.minisign import SigningKey
from store.repositories import jobs
from store.settings import Settings
from store.standing import standing
from store.tables import Dataset, Job, Teacher

SCHEMA = 1
KEY_FILE = "signing.key"


def signing_key(settings: Settings) -> SigningKey:
    """The setting's, else that of the data folder, which is made by whoever needs it first. Raises `Unavailable`."""
    given = settings.signing_key.get_secret_value()
    if given:
        return SigningKey.of_text(given)
    try:
        return SigningKey.at(settings.data_dir / KEY_FILE)
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"There is no key to sign with: {error}.", "Set RETORT_SIGNING_KEY to base64 of 32 random bytes.",
            code="no_signing_key",
        ) from error  # fmt: skip


def content(session: Session, tenant: str, job_id: str) -> bytes:
    """manifest.json of a job that succeeded; the same bytes as long as its files are. Raises `NotFound`, `Conflict`."""
    job = find(session, tenant, job_id)
    if job.status != "succeeded":
        detail = f"Job {job.id} {standing(job.status)}; only one that succeeded has a manifest."
        raise Conflict(detail, "Wait until it has succeeded.", code="job_not_succeeded")
    return (json.dumps(_told(session, job), indent=1, sort_keys=True) + "\n").encode()


def _told(session: Session, job: Job) -> dict[str, Any]:
    dataset = session.get_one(Dataset, job.dataset_id)
    teachers = [session.get_one(Teacher, each) for each in jobs.teacher_ids(session, job)]
    return {
        "schema": SCHEMA,
        "job": job.id,
        "export_of": job.student_of if job.publication is None else None,
        "recipe": jobs.trained_recipe(job),
        "student": job.student,
        "teachers": [{"id": each.id, "sha256": each.sha256, "architecture": each.architecture} for each in teachers],
        "dataset": {"id": dataset.id, "name": dataset.name, "digest": dataset.digest},
        "finished_at": job.finished_at.isoformat() if job.finished_at else None,
        "files": [
            {"name": each.name, "bytes": each.size_bytes, "sha256": each.sha256}
            for each in jobs.artifacts(session, job.id)
        ],
    }
