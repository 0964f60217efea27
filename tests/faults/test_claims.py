"""Who gets a job, and how many of them a second: scenarios 10, 16."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from store.database import Database
from store.doorbell import CeleryDoorbell
from store.repositories import jobs
from tests.faults.conftest import Figure
from tests.faults.evidence import Reference, succeeded, told
from tests.faults.site import Site, until
from tests.services.redis import Redis
from tests.slowness import within
from tests.store.support import new_dataset, new_job, statuses

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.timeout(900)]


def test_10_the_same_doorbell_rung_100_times(site: Site, redis: Redis) -> None:
    """Before, while and after the job runs, heard by two workers: one run."""
    for name in ("a", "b"):
        site.worker(name, program="slowly")
    until(lambda: redis.listeners() == 2, 30)
    job_id = site.submit()
    bell = CeleryDoorbell(redis.url)
    for number in range(100):
        bell.ring("job", job_id)
        if number % 10 == 9:
            time.sleep(0.3)
    site.wait(job_id, status="succeeded")
    assert told(site, job_id).outcomes == ["succeeded"]


RACE = """
import json, sys
from store.database import Database
from store.repositories import leases
url, name, ids = sys.argv[1], sys.argv[2], sys.stdin.readline().split()
database, won = Database(url), []
with database.write() as session:
    leases.claim(session, "job_of_nobody", name, 60)  # connect first
print("ready", flush=True)
for job_id in ids:
    sys.stdin.readline()  # both are let go at the same moment, a thousand times
    with database.write() as session:
        lease = leases.claim(session, job_id, name, 60)
    print(1 if lease else 0, flush=True)
"""


def test_10_two_workers_racing_for_a_claim_1000_times(database: Database) -> None:
    """Two processes, let go together for each job, on Postgres and on SQLite: one gets it, always."""
    dataset_id = new_dataset(database)
    ids = [new_job(database, dataset_id) for _ in range(1000)]
    racers = [_racer(database.url, f"wrk_{name}", ids) for name in "ab"]
    wins = [_race(racers) for _ in ids]
    assert all(sum(won) == 1 for won in wins)
    assert min(sum(won[0] for won in wins), sum(won[1] for won in wins)) > 0
    for racer in racers:
        assert racer.wait(within(20)) == 0
    with database.read() as session:
        for job_id, (first, _) in zip(ids, wins, strict=True):
            (attempt,) = jobs.attempts(session, job_id)
            assert attempt.worker_id == ("wrk_a" if first else "wrk_b")


def _racer(url: str, name: str, ids: list[str]) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[2]
    racer = subprocess.Popen(
        [sys.executable, "-c", RACE, url, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert racer.stdin is not None
    assert racer.stdout is not None
    print(*ids, file=racer.stdin, flush=True)
    assert racer.stdout.readline() == "ready\n"
    return racer


def _race(racers: list[subprocess.Popen[str]]) -> tuple[int, int]:
    for racer in racers:
        assert racer.stdin is not None
        print(file=racer.stdin, flush=True)
    first, second = (int(racer.stdout.readline()) for racer in racers if racer.stdout is not None)
    return first, second


def test_16_200_tiny_jobs_on_2_workers(site: Site, figure: Figure) -> None:
    """Every one ends, once. The trainer is a program that says all that a job must say, so what is measured is the
    service: HTTP, queue, claim, process start, events, upload, verification."""
    started = time.monotonic()
    ids = [site.submit() for _ in range(200)]
    figure("16: POST /jobs, one after the other", 200 / (time.monotonic() - started), "jobs/s")
    for name in ("a", "b"):
        site.worker(name, program="tiny")
    until(lambda: site.job(ids[0])["status"] != "queued", 60)
    started = time.monotonic()
    until(lambda: _done(site) == 200, 300)
    figure("16: 200 tiny jobs on 2 workers", 200 / (time.monotonic() - started), "jobs/s")
    winners = set[str]()
    for job_id in ids:
        assert statuses(site.database, job_id) == ["queued", "running", "succeeded"]
        with site.database.read() as session:
            (attempt,) = jobs.attempts(session, job_id)
        winners.add(attempt.worker_id)
    assert len(winners) == 2
    for job_id in ids[::10]:
        assert told(site, job_id).outcomes == ["succeeded"]


def test_16_real_training_jobs_on_2_workers(site: Site, undisturbed: Reference, figure: Figure) -> None:
    """Six, which load torch, score, train and package: most of each is the start of its process."""
    for name in ("a", "b"):
        site.worker(name)
    until(lambda: len(site.http.get("/system").json()["workers"]) == 2, 60)
    started = time.monotonic()
    ids = [site.submit(name=f"number {number}") for number in range(6)]
    until(lambda: _done(site) == 6, 300)
    figure("16: 6 real training jobs on 2 workers", 60 * 6 / (time.monotonic() - started), "jobs/min")
    for job_id in ids:
        succeeded(site, job_id, undisturbed, ["succeeded"])


def _done(site: Site) -> int:
    counts: dict[str, int] = site.http.get("/system").raise_for_status().json()["jobs"]
    assert not counts.get("failed")
    time.sleep(0.2)
    return counts.get("succeeded", 0)
