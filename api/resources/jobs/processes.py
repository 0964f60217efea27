"""How many processes and hosts a job asks for, against what live workers have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from api.resources.jobs.findings import Findings
from api.resources.jobs.schemas import Estimates, JobCreate, Resources
from distill import sharded
from store.repositories import system
from store.repositories.shares import MOST_PROCESSES
from store.tables import Job

LIVE_SECONDS = 60.0
"""A worker that was heard of so lately lives."""
AUTO = 0  # in a job's row
PROCESSES, HOSTS, SHARDING = "/resources/processes", "/resources/hosts", "/resources/sharding"
NOTHING_KNOWN = "no live worker says what it has"
NO_CLUSTER = "Start a worker with RETORT_RAY_ADDRESS (docs/deploy.md), or ask for one host."


def column(resources: Resources) -> int:
    """As the job's row keeps it."""
    return AUTO if resources.processes == "auto" else resources.processes


def shown(row: Job) -> Resources:
    return Resources(
        processes="auto" if row.processes == AUTO else row.processes,
        hosts=row.hosts,
        sharding="full" if row.sharding == "full" else "none",
    )


def check(session: Session, findings: Findings, body: JobCreate) -> None:
    """Note more processes than a live worker has for one job, or than its batch can be shared by; and more hosts than a
    live worker's cluster has. While no worker lives nothing is known, and the job waits for one."""
    asked, batch = column(body.resources), body.config.batch_size
    if max(asked, body.resources.hosts) > MOST_PROCESSES:
        _note_too_many(session, findings, body.resources)
        return
    if asked > 1 and batch % asked:
        message = f"A batch of {batch} cannot be shared equally by {asked} processes."
        remedy = f"Choose a batch_size that is a multiple of {asked}, or another number of processes."
        findings.add(PROCESSES, message, remedy, "invalid_config", processes=asked, batch_size=batch)
    _check_sharding(findings, body, asked)
    if body.resources.hosts > 1:
        _check_hosts(session, findings, body.resources.hosts, asked)
        return
    most = system.most_devices(session, LIVE_SECONDS)
    if most is not None and asked > most:
        message = f"The job wants {asked} processes; the largest slot of a live worker has {_devices(most)}."
        remedy = f'Ask for {most} at most, or for "auto"; or start a worker with a larger RETORT_DEVICES_PER_SLOT.'
        findings.add(PROCESSES, message, remedy, "too_few_devices", processes=asked, devices_per_slot=most)


def _note_too_many(session: Session, findings: Findings, resources: Resources) -> None:
    """Note more than any job may have, with what there is of it."""
    asked, hosts = column(resources), resources.hosts
    if hosts > MOST_PROCESSES:
        there = _there(_reached(system.clusters(session, LIVE_SECONDS) or []), 1)
        known = f"the largest cluster of a live worker has {there} hosts" if there else NOTHING_KNOWN
        message = f"The job wants {hosts} hosts; a job has {MOST_PROCESSES} processes at most, and {known}."
        remedy = f"Ask for {min(there or MOST_PROCESSES, MOST_PROCESSES)} hosts at most."
        findings.add(HOSTS, message, remedy, "too_few_hosts", hosts=hosts, processes=asked, hosts_there=there)
        return
    most = system.most_devices(session, LIVE_SECONDS)
    known = NOTHING_KNOWN if most is None else f"the largest slot of a live worker has {_devices(most)}"
    message = f"The job wants {asked} processes; a job has {MOST_PROCESSES} at most, and {known}."
    remedy = f'Ask for {min(most or MOST_PROCESSES, MOST_PROCESSES)} at most, or for "auto".'
    findings.add(PROCESSES, message, remedy, "too_few_devices", processes=asked, devices_per_slot=most)


def _check_sharding(findings: Findings, body: JobCreate, asked: int) -> None:
    """Note what cannot be trained in shares."""
    if body.resources.sharding == "none":
        return
    if asked == 1:
        message = "One process has nobody to share with."
        findings.add(SHARDING, message, "Ask for several processes, or leave sharding out.", "invalid_config")
    for found in sharded.refusals(body.config):
        findings.add(f"/config/{found.field}", found.message, found.remedy, "invalid_config", sharding="full")


def _check_hosts(session: Session, findings: Findings, hosts: int, asked: int) -> None:
    if asked == AUTO or asked % hosts:
        said = "auto" if asked == AUTO else str(asked)
        message = f"{hosts} hosts cannot share {said} processes equally."
        if asked == AUTO:
            message = f'"auto" counts the devices of one machine; {hosts} hosts need a number of processes.'
        remedy = f"Choose a number of processes that is a multiple of {hosts}."
        findings.add(PROCESSES, message, remedy, "invalid_config", processes=said, hosts=hosts)
        return
    clusters = system.clusters(session, LIVE_SECONDS)
    if clusters is None:
        return
    reached = _reached(clusters)
    if not reached:
        message, remedy = _unreached(clusters)
        findings.add(HOSTS, message, remedy, "no_cluster", hosts=hosts)
        return
    each = asked // hosts
    there = _there(reached, each)
    if there < hosts:
        message = f"The job wants {hosts} hosts with {_devices(each)} each; the largest cluster has {there}."
        remedy = "Ask for fewer hosts or processes, or add hosts to the cluster."
        findings.add(HOSTS, message, remedy, "too_few_hosts", hosts=hosts, processes=asked, hosts_there=there)


def _reached(clusters: Sequence[dict[str, Any]]) -> list[Sequence[int]]:
    """The devices of each host, of every cluster that a worker reaches."""
    return [cluster["hosts"] for cluster in clusters if "hosts" in cluster]


def _unreached(clusters: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """Why no worker has a cluster, and the remedy."""
    if not clusters:
        return "A job on several hosts needs a Ray cluster, and no live worker has one.", NO_CLUSTER
    return str(clusters[0]["problem"]), str(clusters[0]["remedy"])


def _there(reached: Sequence[Sequence[int]], each: int) -> int:
    """Hosts of the largest cluster, with so many devices each."""
    return max((_wide(cluster, each) for cluster in reached), default=0)


def _wide(devices: Sequence[int], each: int) -> int:
    """Hosts that have so many devices each."""
    return sum(number >= each for number in devices)


def shares(resources: Resources) -> int:
    """In how many the networks lie, as far as the request says."""
    return max(1, column(resources)) if resources.sharding == "full" else 1


def noted(estimates: Estimates, resources: Resources) -> Estimates:
    """With a note where several processes train, whose scaling nobody has measured here."""
    if column(resources) == 1:
        return estimates
    of = "one process" if shares(resources) == 1 else "one process with its share of the networks"
    note = f"The figures are of {of}: several take less time, and each takes memory of its own."
    return estimates.model_copy(update={"notes": [*estimates.notes, note]})


def waits(session: Session, rows: Sequence[Job]) -> dict[str, str]:
    """Of the jobs that wait for more processes or hosts than any live worker has: what they wait for."""
    waiting = [job for job in rows if job.status == "queued"]
    wide = [job for job in waiting if job.hosts == 1 and job.processes > 1]
    most = (system.most_devices(session, LIVE_SECONDS) or 0) if wide else 0
    there = f"the largest slot of a live worker has {_devices(most)}" if most else "no worker lives"
    found = {job.id: f"A slot of {job.processes} devices; {there}." for job in wide if job.processes > most}
    return found | _waits_for_hosts(session, [job for job in waiting if job.hosts > 1])


def _waits_for_hosts(session: Session, wide: Sequence[Job]) -> dict[str, str]:
    reached = _reached(system.clusters(session, LIVE_SECONDS) or []) if wide else []
    found = {}
    for job in wide:
        each = job.processes // job.hosts
        most = _there(reached, each)
        there = f"the largest cluster of a live worker has {most}" if reached else "no live worker reaches a cluster"
        if most < job.hosts:
            found[job.id] = f"{job.hosts} hosts of a cluster with {_devices(each)} each; {there}."
    return found


def _devices(number: int) -> str:
    return "1 device" if number == 1 else f"{number} devices"
