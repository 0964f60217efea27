"""How many processes a job asks for, against what live workers have."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from api.resources.jobs.findings import Findings
from api.resources.jobs.schemas import Estimates, JobCreate, Resources
from store.repositories import system
from store.tables import Job

LIVE_SECONDS = 60.0
"""A worker that was heard of so lately lives."""
AUTO = 0  # in a job's row


def column(resources: Resources) -> int:
    """As the job's row keeps it."""
    return AUTO if resources.processes == "auto" else resources.processes


def shown(row: Job) -> Resources:
    return Resources(processes="auto" if row.processes == AUTO else row.processes)


def check(session: Session, findings: Findings, body: JobCreate) -> None:
    """Note more processes than a live worker has for one job, or than its batch can be shared by. While no worker lives
    nothing is known, and the job waits for one."""
    asked, batch = column(body.resources), body.config.batch_size
    if asked > 1 and batch % asked:
        message = f"A batch of {batch} cannot be shared equally by {asked} processes."
        remedy = f"Choose a batch_size that is a multiple of {asked}, or another number of processes."
        findings.add("/resources/processes", message, remedy, "invalid_config", processes=asked, batch_size=batch)
    most = system.most_devices(session, LIVE_SECONDS)
    if most is not None and asked > most:
        message = f"The job wants {asked} processes; the largest slot of a live worker has {_devices(most)}."
        remedy = f'Ask for {most} at most, or for "auto"; or start a worker with a larger RETORT_DEVICES_PER_SLOT.'
        findings.add("/resources/processes", message, remedy, "too_few_devices", processes=asked, devices_per_slot=most)


def noted(estimates: Estimates, resources: Resources) -> Estimates:
    """With a note where several processes train, whose scaling nobody has measured here."""
    if column(resources) == 1:
        return estimates
    note = "The figures are of one process: several take less time, and each takes memory of its own."
    return estimates.model_copy(update={"notes": [*estimates.notes, note]})


def waits(session: Session, rows: Sequence[Job]) -> dict[str, str]:
    """Of the jobs that wait for more processes than any live worker has: what they wait for."""
    wide = [job for job in rows if job.status == "queued" and job.processes > 1]
    most = (system.most_devices(session, LIVE_SECONDS) or 0) if wide else 0
    there = f"the largest slot of a live worker has {_devices(most)}" if most else "no worker lives"
    return {job.id: f"A slot of {job.processes} devices; {there}." for job in wide if job.processes > most}


def _devices(number: int) -> str:
    return "1 device" if number == 1 else f"{number} devices"
