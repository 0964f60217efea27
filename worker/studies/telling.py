"""What ended is told, and what does not promise is given up."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from distill.search import objectives
from distill.search.strategy import Strategy
from store.clock import db_now
from store.repositories import jobs, rows, study_events, trials
from store.states import TERMINAL
from store.tables import Job, Trial
from worker.studies.ledger import Ledger
from worker.studies.making import told

#: Reason for which a job was stopped -> state and outcome of its trial. What its owner stopped had fewer epochs than
#: its configuration says, and is no value of it; the limit of time is the base job's, so that all trials have it.
STOPPED: dict[str | None, tuple[str, str | None]] = {
    "pruned": ("pruned", None),
    "user": ("cancelled", "stopped"),
    "max_runtime": ("succeeded", "max_runtime"),
}


def tell(session: Session, ledger: Ledger, strategy: Strategy) -> set[str]:
    """Bring the active trials to what their jobs are now; ids of jobs that are to stop."""
    active = ledger.active()
    found = trials.jobs_of(session, active)
    stopped = _judge(session, ledger, strategy, active, found) if strategy.prunes else set[str]()
    ended = [trial for trial in active if trial.job_id not in found or found[trial.job_id].status in TERMINAL]
    seconds = trials.seconds(session, [trial.job_id for trial in ended if trial.job_id is not None])
    for trial in ended:
        _end(session, ledger, trial, found.get(trial.job_id or ""), seconds.get(trial.job_id or "", 0.0))
    return stopped


# ---- giving up


def _judge(
    session: Session, ledger: Ledger, strategy: Strategy, active: list[Trial], found: dict[str, Job]
) -> set[str]:
    of = {trial.job_id or "": trial for trial in active if ledger.judges(trial)}
    going_on = [job_id for job_id in of if job_id in found and not found[job_id].stop_requested]
    stopped = set[str]()
    for job_id, values in trials.validations(session, going_on).items():
        new = len(values) > len(of[job_id].reported)
        if new and _gives_up(ledger, strategy, of[job_id], values) and _stop(session, found[job_id]):
            stopped.add(job_id)
    return stopped


def _gives_up(ledger: Ledger, strategy: Strategy, trial: Trial, values: list[dict[str, Any]]) -> bool:
    """Tell the strategy the new validations. The last one of a run saves nothing."""
    name = ledger.first.name
    reported = {step: float(each[name]) for step, each in enumerate(values, 1) if each.get(name) is not None}
    known = ledger.history(strategy.prunes)
    ended, after = strategy.judge(known, trial.configuration - 1, reported)
    trial.reported = {str(step): value for step, value in after.reported.items()}
    trial.marks = dict(after.marks)
    return ended and len(values) < ledger.study.resource


def _stop(session: Session, job: Job) -> bool:
    """A run stops with the best student so far; one that waits for another attempt does so as soon as it runs. False
    where it has ended, or its owner has asked for something else, in this very moment."""
    try:
        rows.lock(session, job)
    except rows.Gone:
        return False
    if job.status == "running":
        jobs.move(session, job, "stopping", stop_reason="pruned")
    elif job.status == "queued":
        job.stop_requested, job.stop_reason = True, "pruned"
        session.flush()
    return job.status in {"stopping", "queued"}


# ---- ended


def _end(session: Session, ledger: Ledger, trial: Trial, job: Job | None, seconds: float) -> None:
    trial.state, trial.outcome = _outcome(job)
    trial.seconds, trial.finished_at = seconds, db_now()
    if job is not None and job.status == "succeeded":
        trial.values = objectives.values(ledger.objectives, job.result or {})
        if ledger.first.name not in trial.values and trial.state == "succeeded":
            trial.state, trial.outcome = "failed", "no_validation"
    session.flush()
    study_events.append(session, ledger.study.id, "trial", told(trial))


def _outcome(job: Job | None) -> tuple[str, str | None]:
    if job is None:
        return "cancelled", "deleted"
    if job.status == "succeeded":
        return STOPPED.get(job.stop_reason, ("succeeded", None))
    if job.status == "failed":
        return "failed", str((job.error or {}).get("code", "failed"))[:60]
    return "cancelled", None
