"""Rows that most tests of the store and the worker need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session

from distill.types import DistillConfig
from store.database import Database
from store.ids import new_id
from store.repositories import jobs, leases, shares, tenants
from store.repositories.leases import Lease
from store.repositories.tenants import DEFAULT_TENANT
from store.tables import Dataset, Job
from tests.services.tables import opened


@contextmanager
def migrated(url: str) -> Iterator[Database]:
    """The database with its tables and the default tenant."""
    database = opened(url)
    with database.write() as session:
        tenants.ensure_default(session)
    yield database
    database.close()


def new_dataset(database: Database, **values: Any) -> str:
    row = Dataset(
        id=new_id("dst"), tenant_id=DEFAULT_TENANT, **{"name": "digits", "kind": "named", "status": "ready"} | values
    )
    with database.write() as session:
        session.add(row)
    return row.id


def new_job(database: Database, dataset_id: str | None = None, **values: Any) -> str:
    """A queued job without a teacher."""
    defaults = {
        "recipe": "cross_entropy",
        "config": DistillConfig(recipe="cross_entropy").model_dump(mode="json"),
        "student": {"name": "retort:tiny", "options": {}},
        "dataset_id": dataset_id or new_dataset(database),
        "tenant_id": DEFAULT_TENANT,
    }
    row = Job(id=new_id("job"), **defaults | values)
    with database.write() as session:
        jobs.add(session, row)
    return row.id


def claimed(database: Database, job_id: str, lease_seconds: float = 60, worker_id: str = "wrk_test") -> Lease:
    with database.write() as session:
        lease = leases.claim(session, job_id, worker_id, lease_seconds)
    assert lease is not None
    return lease


def read_job(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return session.get_one(Job, job_id)


def event_list(database: Database, job_id: str) -> list[tuple[int, str, dict[str, Any]]]:
    from store.repositories import events

    with database.read() as session:
        return [(row.seq, row.kind, row.data) for row in events.after(session, job_id, 0, 10_000)]


def statuses(database: Database, job_id: str) -> list[str]:
    """The job's history of states, from its events."""
    return [data["status"] for _, kind, data in event_list(database, job_id) if kind == "status"]


def queue_position(session: Session, job: Job, max_running: int = 0) -> int | None:
    """Of one job looked at alone."""
    return shares.positions(session, [job], max_running).get(job.id)
