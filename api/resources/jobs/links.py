"""What can be read of a job, and what can be done with it now, by address."""

from __future__ import annotations

from distill import tasks
from store.states import TRANSITIONS
from store.tables import Job

OF_STUDENTS = frozenset({"exports", "disagreements", "publications"})
READABLE = (
    *("q-curve", "metrics", "events", "logs", "attempts", "checkpoints", "artifacts"),
    *("exports", "disagreements", "publications"),
)


def kind_of(job: Job) -> str | None:
    """What a job on another's student does with it; None of a job that trains."""
    if job.student_of is None:
        return None
    return "export" if job.publication is None else "publication"


def links_of(job: Job, task: str) -> dict[str, str]:
    path = f"/jobs/{job.id}"
    own = [name for name in READABLE if name not in OF_STUDENTS or job.student_of is None]
    links = {"self": path} | {name.replace("-", "_"): f"{path}/{name}" for name in own}
    kind = kind_of(job)
    if kind is not None:
        links[kind] = f"/jobs/{job.student_of}/{kind}s/{job.id}"
    elif job.status == "succeeded":
        links |= {name: f"{path}/{name}" for name in ("student", "report", "predict")}
    return links | {action: f"{path}/{action}" for action in _possible(job, task)}


def would_fail_again(job: Job) -> bool:
    """Whether the job failed by its user's fault, and by one that nothing but another job mends."""
    error = job.error or {}
    return error.get("fault") == "user" and not error.get("retryable", False)


def _possible(job: Job, task: str) -> list[str]:
    following = TRANSITIONS[job.status]  # type: ignore[index]
    possible = {
        "cancel": bool({"cancelling", "cancelled"} & following),
        "stop": "stopping" in following,
        "pause": job.status in {"queued", "running"},
        "resume": job.status == "paused",
        "retry": job.status == "failed" and not would_fail_again(job),
        "extend": job.status == "succeeded"
        and job.student_of is None
        and task in tasks.names()
        and tasks.spec(task).student_weights,
    }
    return [action for action, allowed in possible.items() if allowed]
