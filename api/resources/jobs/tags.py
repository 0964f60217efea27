"""A job's entity tag, `"<own>.<course>.<all>"`: three digests, of ever more of its JSON.

`all` is of every byte of the answer, so the tag is a strong one. `course` leaves the heartbeat out: it is what somebody
waits for. `own` leaves out all that a run writes while the job's status stays: it is what a change can conflict with,
and stays good for `If-Match` while the job runs.
"""

from __future__ import annotations

from api.http.preconditions import digest_of
from api.resources.jobs.schemas import JobOut

HEARTBEAT = frozenset({"heartbeat_at"})
#: A field that is new counts for `If-Match` until it is named here.
RUNNING = HEARTBEAT | {
    "phase",
    "progress",
    "resolved",
    "selection",
    "selections",
    "result",
    "warnings",
    "publications",
    "queue_position",
    "waiting_for",
}


def tag_of(job: JobOut) -> str:
    """The tag of the job as it is shown."""
    return f'"{digest_of(job, RUNNING)}.{course(job)}.{digest_of(job, frozenset())}"'


def course(job: JobOut) -> str:
    """Changes with everything but a heartbeat."""
    return digest_of(job, HEARTBEAT)


def seen(if_none_match: str | None, job: JobOut) -> bool:
    """Whether who sends this header (or none) knows the job's course, so that there is something to wait for."""
    if if_none_match is None or if_none_match.strip() == "*":
        return True
    return any(given.split(".")[1:2] == [course(job)] for given in if_none_match.split(","))
