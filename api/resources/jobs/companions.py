"""Small jobs on a finished job's student: exports and publications. Their queue, quotas, cancel, retry, events and
artifacts are those of jobs (decision 0021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy.orm import Session

from api.errors.problems import Conflict, NotFound
from api.http.idempotency import replayed, request_hash
from api.resources.jobs.links import kind_of
from api.resources.jobs.service import find
from api.services import quotas
from api.state.context import Context
from store import tracing
from store.repositories import idempotency, jobs
from store.standing import standing
from store.tables import Job

T = TypeVar("T")
_KINDS = {"export": "an export", "publication": "a publication"}


def noun(job: Job) -> str:
    """ "an export"; of a job that trains "a job"."""
    return _KINDS.get(kind_of(job) or "", "a job")


def link(job: Job) -> str:
    """Where it is shown beside the others of its student."""
    return f"/jobs/{job.student_of}/{kind_of(job)}s/{job.id}"


class Shown(Protocol):
    @property
    def id(self) -> str: ...


ShownT = TypeVar("ShownT", bound=Shown)


def one_of(items: Sequence[ShownT], job_id: str, kind: str, own_id: str) -> ShownT:
    """The one of this id among those of its student. `kind`: "export". Raises `NotFound`."""
    found = next((each for each in items if each.id == own_id), None)
    if found is None:
        raise NotFound(f"Job {job_id} has no {kind} {own_id!r}.", f"GET /jobs/{job_id}/{kind}s lists them.")
    return found


def submit(
    context: Context, tenant: str, path: str, body: dict[str, Any], key: str | None,
    make: Callable[[Session], Job], shown: Callable[[Session, Job], T],
) -> tuple[T, bool]:  # fmt: skip
    """Queue what `make` makes, commit, and only then ring; how it is `shown`, and whether it was there before: an
    earlier request with this key has made it, or `make` gives one that is there. Raises what `make` raises."""
    hashed = request_hash(path, body)
    with context.database.write() as session:
        earlier = replayed(session, tenant, key, hashed)
        if earlier is not None:
            return shown(session, find(session, tenant, earlier)), True
        row = make(session)
        known = row in session
        if not known:
            quotas.check_queue(session, context.settings, tenant)
            _add(session, row)
        if key:
            idempotency.answer(session, tenant, key, 202, row.id)
        answer, job_id = shown(session, row), row.id
    if not known:
        context.doorbell.ring("job", job_id)
    return answer, known


def _add(session: Session, row: Job) -> None:
    source = session.get_one(Job, row.student_of)
    with tracing.span("job", "producer", job_id=row.id, recipe=row.recipe):
        row.traceparent = tracing.traceparent()
        jobs.add(session, row, jobs.teacher_ids(session, source)[1:])


def check_finished(session: Session, source: Job, doing: str, needed: Sequence[str] = ()) -> None:
    """Raises `Conflict` for a job without a student to `doing` ("export"), and for one whose files are gone: its
    weights, and those of `needed`."""
    if source.status != "succeeded" or source.student_of is not None:
        why = standing(source.status) if source.student_of is None else f"is {noun(source)} itself"
        raise Conflict(f"Job {source.id} {why}: it has no student to {doing}.", "Name a job that has succeeded.",
                       code="job_not_succeeded")  # fmt: skip
    gone = any(jobs.artifact(session, source.id, name) is None for name in needed)
    if gone or jobs.student(session, source.id) is None:
        detail = f"The files of job {source.id} were deleted; there is nothing to {doing}."
        raise Conflict(detail, "Train the student again.", code="files_deleted")
