"""API, Redis and Postgres that die under their users: scenarios 3, 5, 6, 7."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import psycopg
import pytest

from tests.faults import postgres_proxy
from tests.faults.conftest import LONG_CONFIG, Figure, MakeSite
from tests.faults.evidence import Reference, succeeded, told
from tests.faults.site import Site, until
from tests.integration.main_job import all_events
from tests.services.redis import Redis
from tests.slowness import within

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.timeout(900)]


def test_03_kill_9_the_api_in_the_middle_of_a_stream(site: Site, undisturbed: Reference, figure: Figure) -> None:
    """Three times. A client that only knows the protocol goes on by `Last-Event-ID`; our own client does so by
    itself; the job does not notice."""
    site.worker("w")
    job_id = site.submit()
    ours = list[dict[str, Any]]()
    ours_told = (dict(event) for event in site.retort.events(job_id))
    follower = threading.Thread(target=lambda: ours.extend(ours_told), daemon=True)
    follower.start()
    seen = list[int]()
    for number in (5, 40, 90):
        assert not _follow(site, job_id, seen, kill_at=number)
        down = time.monotonic()
        site.start_api()
        figure("3: API killed until it answers again", time.monotonic() - down, "s")
    assert _follow(site, job_id, seen)
    follower.join(60)
    succeeded(site, job_id, undisturbed, ["succeeded"])
    events = all_events(site.http, job_id)
    assert seen == [event["seq"] for event in events]
    numbered = [event for event in ours if event["seq"]]
    assert [(event["seq"], event["kind"]) for event in numbered] == [(event["seq"], event["kind"]) for event in events]


def _follow(site: Site, job_id: str, seen: list[int], kill_at: int = 0) -> bool:
    """Read the stream behind the last number seen; kill the API under it behind the event `kill_at`. True when the
    stream ended by itself."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(seen[-1] if seen else 0)}
    try:
        with httpx.stream(
            "GET", f"{site.retort.url}/jobs/{job_id}/events", headers=headers, timeout=within(60)
        ) as stream:
            for line in stream.iter_lines():
                if line.startswith("id:"):
                    seen.append(int(line[3:]))
                if kill_at and seen and seen[-1] >= kill_at:
                    site.api.kill()
                    kill_at = 0
    except httpx.TransportError:
        return False
    return True


def test_05_flushall_with_50_jobs_queued(site: Site, redis: Redis, figure: Figure) -> None:
    """Whatever Redis knows is lost, before there are workers and under them; the database is the queue."""
    jobs = [site.submit() for _ in range(50)]
    redis.client().flushall()
    site.worker("a", program="tiny")
    site.worker("b", program="tiny")
    until(lambda: _ended(site) >= 10, 60)
    redis.client().flushall()
    started = time.monotonic()
    until(lambda: _ended(site) == 50, 120)
    figure("5: the last 40 of 50 tiny jobs after FLUSHALL", time.monotonic() - started, "s")
    for job_id in jobs:
        assert told(site, job_id).outcomes == ["succeeded"]


def _ended(site: Site) -> int:
    counts: dict[str, int] = site.http.get("/system").raise_for_status().json()["jobs"]
    return counts.get("succeeded", 0) + counts.get("failed", 0)


def test_06_redis_stopped_mid_job_and_for_the_whole_of_a_post(
    site: Site, redis: Redis, undisturbed_long: Reference, figure: Figure
) -> None:
    """A job goes on, another is accepted and runs, all without Redis; when it is back, rings are heard again."""
    site.worker("w")
    running = site.submit(config=LONG_CONFIG)
    site.checkpointed(running)
    redis.stop()
    try:
        started = time.monotonic()
        accepted = site.submit(config=LONG_CONFIG)
        figure("6: POST /jobs while Redis is down", time.monotonic() - started, "s")
        site.wait(running, status="succeeded")
        site.wait(accepted, status="succeeded")
    finally:
        redis.start()
    for job_id in (running, accepted):
        succeeded(site, job_id, undisturbed_long, ["succeeded"])
    until(lambda: redis.listeners() == 1, 60)


def test_07_postgres_restarts_mid_job(make_site: MakeSite, undisturbed_long: Reference, figure: Figure) -> None:
    """Twice: in order, and in the middle of an attempt's transaction (which waits for a lock that we hold when the
    server is killed). The trainer goes on, the attempt too, and everything it said meanwhile is there, once."""
    site = make_site(RETORT_LEASE_SECONDS="30")
    _durable(site)
    site.worker("w")
    job_id = site.submit(config=LONG_CONFIG)
    site.checkpointed(job_id)
    trainer = site.trainer(job_id)
    started = time.monotonic()
    site.postgres.restart()
    until(lambda: _answers(site, job_id), 30)
    figure("7: Postgres restarted until the API answers", time.monotonic() - started, "s")
    behind = len(all_events(site.http, job_id))
    until(lambda: len(all_events(site.http, job_id)) > behind, 30)
    connection = psycopg.connect(_plain(site))
    connection.execute("SELECT 1 FROM jobs WHERE id = %s FOR UPDATE", [job_id])
    until(lambda: _waiting_for_locks(site), 20)
    site.postgres.crash()
    connection.close()
    site.postgres.start()
    assert site.trainer(job_id) == trainer
    until(lambda: _answers(site, job_id), 30)
    site.wait(job_id, status="succeeded")
    succeeded(site, job_id, undisturbed_long, ["succeeded"])
    assert trainer.gone()


def test_07_commits_whose_answer_is_lost(make_site: MakeSite, undisturbed: Reference) -> None:
    """The worker cannot know whether its transaction counts, writes it again, and nothing is there twice."""
    site = make_site(RETORT_LEASE_SECONDS="30")
    with postgres_proxy.running(site.postgres.port) as cutter:
        url = site.database_url.replace(f":{site.postgres.port}/", f":{cutter.port}/")
        site.worker("w", RETORT_DATABASE_URL=url)
        job_id = site.submit()
        site.wait(job_id, phase="distilling")
        cutter.armed = 12
        site.wait(job_id, status="succeeded")
        assert cutter.cut == 12
        succeeded(site, job_id, undisturbed, ["succeeded"])


def test_07_postgres_crashes_in_each_commit_of_a_jobs_end(
    make_site: MakeSite, undisturbed: Reference, figure: Figure
) -> None:
    """From the end of training on the server crashes in every COMMIT that has to do with the job's events, results or
    status, half of them before it has it and half after it has carried it out: the results are stored once, the job
    ends once. The lease outlasts all of it."""
    site = make_site(RETORT_LEASE_SECONDS="900")
    _durable(site)

    def crash() -> None:
        site.postgres.crash()
        site.postgres.start()

    with postgres_proxy.running(site.postgres.port, every=1, strike=crash, of=b"INSERT INTO") as cutter:
        url = site.database_url.replace(f":{site.postgres.port}/", f":{cutter.port}/")
        site.worker("w", RETORT_DATABASE_URL=url)
        job_id = site.submit()
        until(lambda: _trained(site, job_id), 120)
        cutter.armed = most = 1000
        until(lambda: _ended_well(site, job_id), 300)
        cutter.armed = 0
        figure("7: crashes of Postgres in the commits of a job's end", cutter.cut, "")
        assert 4 <= cutter.cut < most
        succeeded(site, job_id, undisturbed, ["succeeded"])


def _trained(site: Site, job_id: str) -> bool:
    job = site.job(job_id)
    assert job["status"] in ("queued", "running")
    return job["phase"] in ("evaluating", "packaging", "uploading")


def _ended_well(site: Site, job_id: str) -> bool:
    """False also while the server is away."""
    try:
        answer = site.http.get(f"/jobs/{job_id}")
    except httpx.TransportError:
        return False
    if answer.status_code != 200:
        return False
    assert answer.json()["status"] in ("running", "succeeded")
    return bool(answer.json()["status"] == "succeeded")


def _durable(site: Site) -> None:
    """The tests' server answers before it writes; a killed one would lose what it has said is committed."""
    name = site.database_url.rpartition("/")[2]
    with psycopg.connect(_plain(site), autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = on')  # type: ignore[call-overload]
    site.api.kill()
    site.start_api()


def _plain(site: Site) -> str:
    return site.database_url.replace("+psycopg", "")


def _waiting_for_locks(site: Site) -> bool:
    with psycopg.connect(_plain(site), autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
    return bool(row and row[0])


def _answers(site: Site, job_id: str) -> bool:
    try:
        return site.http.get(f"/jobs/{job_id}").status_code == 200
    except httpx.TransportError:
        return False
