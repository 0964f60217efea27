"""Claim, renew, fence, settle, expire, on both databases."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.orm import Session

from store.database import Database
from store.repositories import events, jobs, leases
from store.repositories.leases import Ending, Lease, LeaseLost
from store.tables import Artifact, Attempt, Job
from tests.store.support import claimed, event_list, new_dataset, new_job, read_job, statuses

ERROR = {"code": "oom_host", "message": "m", "remedy": "", "fault": "system", "retryable": True, "details": {}}


def settle(database: Database, lease: Lease, ending: Ending) -> str:
    with database.write() as session:
        return leases.settle(session, lease, ending)


def attempt_of(database: Database, job_id: str, number: int) -> Attempt:
    with database.read() as session:
        return jobs.attempts(session, job_id)[number - 1]


def ask(database: Database, job_id: str, status: str) -> None:
    with database.write() as session:
        jobs.move(session, session.get_one(Job, job_id), status)  # type: ignore[arg-type]


def test_claim_takes_a_queued_job_once(database: Database) -> None:
    job_id = new_job(database)
    lease = claimed(database, job_id)
    job = read_job(database, job_id)
    assert (job.status, job.phase, job.attempt, job.lease_token) == ("running", "fetching", 1, lease.token)
    assert job.lease_until is not None
    assert job.heartbeat_at is not None
    assert 50 < (job.lease_until - job.heartbeat_at).total_seconds() <= 61
    with database.write() as session:
        assert leases.claim(session, job_id, "wrk_other", 60) is None
        assert leases.claim(session, "job_unknown", "wrk_other", 60) is None
    assert statuses(database, job_id) == ["queued", "running"]


def test_a_race_for_a_claim_has_one_winner(database: Database) -> None:
    dataset_id = new_dataset(database)
    ids = [new_job(database, dataset_id) for _ in range(20)]
    barrier = threading.Barrier(8)

    def race(worker: int) -> list[str]:
        barrier.wait()
        won = []
        for job_id in ids:
            with database.write() as session:
                if leases.claim(session, job_id, f"wrk_{worker}", 60):
                    won.append(job_id)
        return won

    with ThreadPoolExecutor(8) as pool:
        winners = [job_id for won in pool.map(race, range(8)) for job_id in won]
    assert sorted(winners) == sorted(ids)
    assert all(read_job(database, job_id).attempt == 1 for job_id in ids)


def test_the_queue_is_by_priority_then_age_and_honours_back_off(database: Database) -> None:
    first, second, urgent, later = (new_job(database, priority=p) for p in (0, 0, 5, 9))
    settle(database, claimed(database, later), Ending("queued", "failed", ERROR, counts=True, back_off_seconds=60))
    with database.read() as session:
        assert leases.queued(session) == [urgent, first, second]
        assert leases.queued(session, limit=1) == [urgent]
        due = leases.next_due(session)
    assert due is not None
    assert 55 < due <= 60


def test_next_due_is_none_without_a_waiting_job(database: Database) -> None:
    new_job(database)
    with database.read() as session:
        assert leases.next_due(session) is None


def test_renew_extends_and_tells_what_was_asked_for(database: Database) -> None:
    job_id = new_job(database)
    lease = claimed(database, job_id, lease_seconds=1)
    ask(database, job_id, "cancelling")
    with database.write() as session:
        assert leases.renew(session, lease, 60) == "cancelling"
    with database.read() as session:
        assert leases.expired(session) == []


def test_a_holder_without_the_lease_writes_nothing(database: Database) -> None:
    job_id = new_job(database)
    stale = claimed(database, job_id, lease_seconds=0.01)
    time.sleep(0.05)
    with database.write() as session:
        assert leases.expire(session, job_id, 0) == "queued"
    fresh = claimed(database, job_id)
    for write in (
        lambda s: leases.fenced(s, stale, phase="scoring"),
        lambda s: leases.renew(s, stale, 60),
        lambda s: leases.status_of(s, stale),
        lambda s: leases.settle(s, stale, Ending("succeeded", "succeeded")),
    ):
        with pytest.raises(LeaseLost), database.write() as session:
            write(session)
    assert read_job(database, job_id).lease_token == fresh.token
    assert attempt_of(database, job_id, 1).outcome == "worker_lost"
    assert attempt_of(database, job_id, 2).outcome is None


def test_expire_leaves_a_living_holder_alone(database: Database) -> None:
    job_id = new_job(database)
    claimed(database, job_id)
    with database.write() as session:
        assert leases.expired(session) == []
        assert leases.expire(session, job_id, 0) is None
    with database.write() as session:
        assert leases.expire(session, "job_unknown", 0) is None
    assert read_job(database, job_id).status == "running"


@pytest.mark.parametrize(
    ("asked", "ends"),
    [(None, "queued"), ("stopping", "queued"), ("pausing", "paused"), ("cancelling", "cancelled")],
)
def test_a_lost_worker_ends_as_the_owner_asked(database: Database, asked: str | None, ends: str) -> None:
    job_id = new_job(database)
    claimed(database, job_id, lease_seconds=0.01)
    if asked:
        ask(database, job_id, asked)
    time.sleep(0.05)
    with database.write() as session:
        assert leases.expired(session) == [job_id]
        assert leases.expire(session, job_id, 0) == ends
    assert read_job(database, job_id).lease_token is None


def test_a_stop_outlives_its_worker(database: Database) -> None:
    job_id = new_job(database)
    lease = claimed(database, job_id)
    ask(database, job_id, "stopping")
    assert settle(database, lease, Ending("queued", "handed_over")) == "queued"
    claimed(database, job_id)
    assert read_job(database, job_id).status == "stopping"


def test_system_faults_use_up_attempts_and_hand_overs_do_not(database: Database) -> None:
    job_id = new_job(database, max_attempts=2)
    fault = Ending("queued", "failed", ERROR, counts=True)
    for _ in range(3):
        assert settle(database, claimed(database, job_id), Ending("queued", "handed_over")) == "queued"
    assert settle(database, claimed(database, job_id), fault) == "queued"
    assert settle(database, claimed(database, job_id), fault) == "failed"
    job = read_job(database, job_id)
    assert (job.attempt, job.faults, job.error) == (5, 2, ERROR)
    ask(database, job_id, "queued")
    job = read_job(database, job_id)
    assert (job.faults, job.error, job.finished_at) == (0, None, None)


def test_back_off_doubles_and_is_capped(database: Database) -> None:
    job_id = new_job(database, max_attempts=100)
    waits = []
    for _ in range(4):
        with database.write() as session:
            session.get_one(Job, job_id).not_before = None
        settle(database, claimed(database, job_id), Ending("queued", "failed", ERROR, counts=True, back_off_seconds=50))
        with database.read() as session:
            waits.append(leases.next_due(session) or 0)
    assert [round(wait, -1) for wait in waits] == [50, 100, 200, 300]


def test_cancel_wins_over_whatever_the_trainer_made(database: Database) -> None:
    for ending in (
        Ending("succeeded", "succeeded"),
        Ending("queued", "failed", ERROR),
        Ending("failed", "failed", ERROR),
    ):
        job_id = new_job(database)
        lease = claimed(database, job_id)
        with database.write() as session:
            session.add(
                Artifact(job_id=job_id, name="a", media_type="m", object_key="k", size_bytes=1, sha256="0" * 64)
            )
        ask(database, job_id, "cancelling")
        assert settle(database, lease, ending) == "cancelled"
        with database.read() as session:
            assert jobs.artifacts(session, job_id) == []
        assert read_job(database, job_id).error is None
        assert statuses(database, job_id)[-2:] == ["cancelling", "cancelled"]


def test_an_attempt_keeps_how_it_ended(database: Database) -> None:
    job_id = new_job(database)
    ending = Ending("failed", "failed", ERROR, exit_code=-9, peak_memory_bytes=12345)
    settle(database, claimed(database, job_id), ending)
    attempt = attempt_of(database, job_id, 1)
    assert (attempt.outcome, attempt.error, attempt.exit_code, attempt.peak_memory_bytes) == (
        "failed",
        ERROR,
        -9,
        12345,
    )
    assert attempt.finished_at is not None


def test_the_first_start_stays(database: Database) -> None:
    job_id = new_job(database)
    lease = claimed(database, job_id)
    started = read_job(database, job_id).started_at
    settle(database, lease, Ending("queued", "handed_over"))
    claimed(database, job_id)
    assert read_job(database, job_id).started_at == started


def test_events_have_no_gap_under_concurrent_writers(database: Database) -> None:
    job_id = new_job(database)

    def write(worker: int) -> None:
        for number in range(15):
            with database.write() as session:
                events.append(session, job_id, "log", {"worker": worker, "number": number})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    assert [seq for seq, _, _ in event_list(database, job_id)] == list(range(1, 92))
    assert read_job(database, job_id).event_seq == 91


def _append_and_fail(session: Session, job_id: str) -> None:
    events.append(session, job_id, "log", {})
    raise RuntimeError


def test_a_rolled_back_event_takes_its_number_back(database: Database) -> None:
    job_id = new_job(database)
    with pytest.raises(RuntimeError), database.write() as session:
        _append_and_fail(session, job_id)
    with database.write() as session:
        assert events.append(session, job_id, "log", {}) == 2
