"""A job's ranked disagreements, from the file that its run wrote."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy.orm import Session

from api.errors.problems import NotFound
from api.http.files import StoredFile
from api.http.paging import encode
from api.resources.artifacts import service as artifacts
from api.resources.disagreements.schemas import Disagreement, DisagreementPage, Sheet
from api.resources.jobs.service import find
from store.objects import ObjectStore
from store.repositories import jobs
from store.standing import standing

FILE = "disagreements.json"


def stored(session: Session, tenant: str, job_id: str) -> StoredFile:
    """Raises `NotFound`, which says why there is none."""
    job = find(session, tenant, job_id)
    if jobs.artifact(session, job.id, FILE) is None:
        why = _why(job.status, job.teacher_id is not None)
        raise NotFound(
            f"Job {job_id} has no list of disagreements: {why}.", "GET /jobs/{id}/artifacts lists what there is.",
            code="no_disagreements",
        )  # fmt: skip
    return artifacts.stored(session, tenant, job_id, FILE)


def _why(status: str, taught: bool) -> str:
    if status != "succeeded":
        return f"it {standing(status)}, and the list is made at its end"
    if not taught:
        return "it has no teacher"
    return "its teacher does not answer as the student does, or it ran before there were such lists"


def page(objects: ObjectStore, file: StoredFile, job_id: str, after: int, limit: int) -> DisagreementPage:
    """The samples behind rank `after`. Raises `StorageUnavailable`, `ObjectMissing`."""
    told = json.loads(b"".join(objects.read(file.object_key)))
    rows = told["items"][after : after + limit]
    more = after + len(rows) < len(told["items"])
    sheet = told["sheet"]
    return DisagreementPage(
        items=[_shown(row) for row in rows],
        next_cursor=encode(after + len(rows)) if more else None,
        sheet=None if sheet is None else Sheet(href=f"/jobs/{job_id}/artifacts/{sheet['name']}", **_size(sheet)),
        **{name: told[name] for name in ("measure", "definition", "samples", "agreeing")},
    )


def _shown(row: dict[str, Any]) -> Disagreement:
    size = [row["width"], row["height"]] if "width" in row else None
    return Disagreement.model_validate({"size": size} | row)


def _size(sheet: dict[str, Any]) -> dict[str, int]:
    return {"width": sheet["width"], "height": sheet["height"]}
