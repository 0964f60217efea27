"""Ten thousand queued jobs: order, fairness and pages stay what they are with ten."""

from __future__ import annotations

from sqlalchemy import func, insert, select

from distill.types import DistillConfig
from store.database import Database
from store.ids import new_id
from store.repositories import jobs, leases
from store.repositories.tenants import DEFAULT_TENANT
from store.tables import Job
from tests.store.support import new_dataset, new_job, queue_position, read_job

MANY = 10_000


def test_of_ten_thousand_the_first_is_claimed_and_the_last_is_told_its_place(database: Database) -> None:
    dataset = new_dataset(database)
    first = read_job(database, new_job(database, dataset))
    config = DistillConfig(recipe="cross_entropy").model_dump(mode="json")
    ids = sorted(new_id("job") for _ in range(MANY))
    common = {"recipe": "cross_entropy", "config": config, "student": first.student, "dataset_id": dataset}
    rows = [common | {"id": job_id, "tenant_id": DEFAULT_TENANT} for job_id in ids]
    with database.write() as session:
        session.execute(insert(Job), rows)
    with database.write() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == MANY + 1
        assert leases.queued(session, 1) == [first.id]
        last = jobs.get(session, DEFAULT_TENANT, ids[-1])
        assert last is not None
        assert queue_position(session, last) == MANY
        assert leases.claim(session, first.id, "wrk", 60) is not None
        assert queue_position(session, last) == MANY - 1
        assert leases.queued(session, 3) == ids[:3]
        assert jobs.count_by_status(session, DEFAULT_TENANT)["queued"] == MANY
