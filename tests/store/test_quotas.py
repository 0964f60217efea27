"""How many of a tenant's jobs run side by side."""

from __future__ import annotations

import threading

from sqlalchemy import update

from store.database import Database
from store.repositories import leases
from store.tables import Tenant
from tests.store.support import new_dataset, new_job


def test_no_more_jobs_run_than_may(database: Database) -> None:
    dataset = new_dataset(database)
    jobs = [new_job(database, dataset) for _ in range(3)]
    with database.write() as session:
        session.execute(update(Tenant).values(max_running_jobs=2))

    def claim(job_id: str) -> leases.Lease | None:
        with database.write() as session:
            return leases.claim(session, job_id, "wrk_test", 60, max_running=1)

    first = claim(jobs[0])
    assert first is not None
    assert claim(jobs[1]) is not None
    assert claim(jobs[2]) is None
    with database.read() as session:
        assert leases.queued(session, max_running=1) == []
    with database.write() as session:
        assert leases.finish(session, first, "succeeded", "succeeded", None)  # type: ignore[arg-type]
    with database.read() as session:
        assert leases.queued(session, max_running=1) == [jobs[2]]
    assert claim(jobs[2]) is not None


def test_workers_at_once_do_not_pass_the_running_quota(database: Database) -> None:
    dataset = new_dataset(database)
    jobs = [new_job(database, dataset) for _ in range(8)]
    held: list[leases.Lease | None] = []

    def claim(job_id: str) -> None:
        with database.write() as session:
            held.append(leases.claim(session, job_id, "wrk_test", 60, max_running=3))

    threads = [threading.Thread(target=claim, args=(job_id,)) for job_id in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 8
    assert len([lease for lease in held if lease is not None]) == 3
