"""Two transactions at the same moment: what one has decided, the other does not undo. On SQLite, which has one writer
at a time, they come one behind the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from store.database import Database
from store.ids import new_id
from store.repositories import jobs, leases, outbox, recording, system, tenants
from store.repositories.tenants import DEFAULT_TENANT
from store.states import Status
from store.tables import CachedCurve, Delivery, Job, Tenant, Webhook
from tests.slowness import within
from tests.store.support import claimed, new_job, read_job, statuses

Work = Callable[[Session], Any]


def overlap(database: Database, first: Work, second: Work) -> Any:
    """`first` writes and commits only when `second` waits for its rows; what `second` returns."""

    def write() -> Any:
        with database.write() as session:
            return second(session)

    with ThreadPoolExecutor(1) as pool:
        with database.write() as session:
            first(session)
            later = pool.submit(write)
            await_lock(database)
        return later.result(30)


def await_lock(database: Database) -> None:
    """Until somebody waits for a lock; SQLite does not tell, and there the order is the same in any case."""
    if database.engine.dialect.name != "postgresql":
        return
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    until = time.monotonic() + within(10)
    while time.monotonic() < until:
        with database.read() as session:
            if session.scalar(text(query)):
                return
        time.sleep(0.02)
    raise AssertionError("the second transaction does not wait for the first")


@pytest.mark.parametrize("asked", ["cancelling", "pausing", "stopping"])
def test_the_time_limit_leaves_what_the_owner_has_asked_for(database: Database, asked: Status) -> None:
    job_id = new_job(database)
    lease = claimed(database, job_id)
    overlap(
        database,
        lambda session: jobs.move(session, session.get_one(Job, job_id), asked),
        lambda session: leases.overtime(session, lease),
    )
    assert read_job(database, job_id).status == asked
    assert statuses(database, job_id) == ["queued", "running", asked]


def test_the_time_limit_stops_a_running_job(database: Database) -> None:
    job_id = new_job(database)
    lease = claimed(database, job_id)
    with database.write() as session:
        leases.overtime(session, lease)
    job = read_job(database, job_id)
    assert (job.status, job.stop_requested, job.stop_reason) == ("stopping", True, "max_runtime")


def test_a_cancel_of_a_job_that_just_starts_is_accepted(database: Database) -> None:
    job_id = new_job(database)
    status = overlap(
        database,
        lambda session: leases.claim(session, job_id, "wrk_test", 60),
        lambda session: jobs.request_cancel(session, session.get_one(Job, job_id)),
    )
    assert status == "cancelling"
    assert statuses(database, job_id) == ["queued", "running", "cancelling"]


def test_a_locked_job_is_read_as_the_other_left_it(database: Database) -> None:
    job_id = new_job(database)

    def look(session: Session) -> str:
        assert session.get_one(Job, job_id).id == job_id  # as a request that has looked before
        job = jobs.get_locked(session, DEFAULT_TENANT, job_id)
        assert job is not None
        return job.status

    assert overlap(database, lambda session: leases.claim(session, job_id, "wrk_test", 60), look) == "running"
    with database.write() as session:
        assert jobs.get_locked(session, "tnt_other", job_id) is None
        assert jobs.get_locked(session, DEFAULT_TENANT, "job_unknown") is None


def test_two_jobs_keep_the_same_curve_at_once(database: Database) -> None:
    def keep(seed: int) -> Work:
        return lambda session: recording.cache_curve(session, DEFAULT_TENANT, {"digest": "d", "seed": seed})

    overlap(database, keep(1), keep(2))
    with database.read() as session:
        assert [row.curve["seed"] for row in session.scalars(select(CachedCurve))] == [1]


def test_two_workers_publish_their_catalogues(database: Database) -> None:
    def publish(*names: str) -> Work:
        return lambda session: system.publish(session, "architecture", [{"name": name} for name in names])

    overlap(database, publish("a", "b"), publish("c", "b"))
    overlap(database, publish("c", "b"), publish("b", "d"))  # other versions of the same, in another order
    with database.read() as session:
        assert system.catalogue_names(session, "architecture") == ["b", "d"]


def test_two_requests_make_one_tenant(database: Database) -> None:
    made: list[str] = []
    other = overlap(
        database,
        lambda session: made.append(tenants.ensure(session, "acme").id),
        lambda session: tenants.ensure(session, "acme").id,
    )
    assert made == [other]
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Tenant).where(Tenant.name == "acme")) == 1


def test_a_message_sent_again_while_its_last_try_fails_is_due(database: Database) -> None:
    with database.write() as session:
        hook = Webhook(id=new_id("whk"), tenant_id=DEFAULT_TENANT, url="https://x/", events="*", secret="whsec_x")
        session.add(hook)
        session.flush()
        message_id = outbox.add(session, hook.id, "webhook.test", {}).id
    with database.write() as session:
        taken = outbox.take(session, message_id, 60)
    assert taken is not None
    overlap(
        database,
        lambda session: outbox.note(session, taken, "failed", {"error": "e"}),
        lambda session: outbox.send_again(session, session.get_one(Delivery, message_id)),
    )
    with database.read() as session:
        row = session.get_one(Delivery, message_id)
        assert (row.status, row.tries, row.finished_at) == ("pending", 0, None)
        assert [waiting.id for waiting in outbox.due(session)] == [message_id]
