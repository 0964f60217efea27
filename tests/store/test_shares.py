"""Fair share on both databases: nobody starves, and the position that is shown is the order in which jobs start."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from distill.types import DistillConfig, ExportRequest
from store.clock import db_now
from store.database import Database
from store.ids import new_id
from store.repositories import leases, quotas, shares
from store.repositories.leases import Ending, Lease
from store.states import Status
from store.tables import Dataset, Job, Tenant
from tests.store.support import new_job, queue_position


def tenant(database: Database) -> tuple[str, str]:
    """A new tenant, and a data set of its own."""
    tenant_id = new_id("tnt")
    dataset = Dataset(id=new_id("dst"), tenant_id=tenant_id, name="d", kind="named", status="ready")
    with database.write() as session:
        session.add(Tenant(id=tenant_id, name=tenant_id))
        session.flush()
        session.add(dataset)
    return tenant_id, dataset.id


def queue(database: Database, owner: tuple[str, str], **values: Any) -> str:
    return new_job(database, owner[1], tenant_id=owner[0], **values)


def start_next(database: Database) -> str | None:
    with database.write() as session:
        waiting = leases.queued(session, limit=1)
        if not waiting:
            return None
        assert leases.claim(session, waiting[0], "wrk", 60)
        return waiting[0]


def end(database: Database, job_id: str) -> None:
    with database.write() as session:
        session.execute(delete(Job).where(Job.id == job_id))


def owner_of(database: Database, job_id: str) -> str:
    with database.read() as session:
        return session.get_one(Job, job_id).tenant_id


def test_a_hundred_jobs_of_one_do_not_starve_another_on_one_slot(database: Database) -> None:
    greedy, modest = tenant(database), tenant(database)
    for _ in range(100):
        queue(database, greedy, priority=1000)
    mine = queue(database, modest)
    started = []
    for _ in range(3):
        started.append(start_next(database))
        end(database, str(started[-1]))
    assert mine in started[:2]


def test_slots_are_shared_by_what_runs_already(database: Database) -> None:
    first, second = tenant(database), tenant(database)
    for _ in range(6):
        queue(database, first)
    for _ in range(3):
        start_next(database)
    for _ in range(6):
        queue(database, second)
    owners = [owner_of(database, str(start_next(database))) for _ in range(5)]
    assert owners[:3] == [second[0]] * 3
    assert set(owners[3:]) == {first[0], second[0]}


def test_within_a_tenant_priority_decides_then_age(database: Database) -> None:
    owner = tenant(database)
    old, new, urgent = queue(database, owner), queue(database, owner), queue(database, owner, priority=5)
    assert [start_next(database) for _ in range(3)] == [urgent, old, new]


@pytest.mark.parametrize("numbers", [(1,), (3, 2), (4, 1, 3)])
def test_the_position_is_the_order_of_starts(database: Database, numbers: tuple[int, ...]) -> None:
    owners = [tenant(database) for _ in numbers]
    for owner, count in zip(owners, numbers, strict=True):
        for index in range(count):
            queue(database, owner, priority=index % 2)
    for _ in range(2):
        start_next(database)
    with database.read() as session:
        rows = list(session.query(Job))
        places = shares.positions(session, rows)
        assert all(queue_position(session, row) == places.get(row.id) for row in rows)
    assert sorted(places.values()) == list(range(sum(numbers) - len([r for r in rows if r.status != "queued"])))
    order = []
    while (job_id := start_next(database)) is not None:
        order.append(job_id)
    assert order == sorted(places, key=lambda job_id: places[job_id])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12), st.integers(0, 4))
def test_positions_agree_with_the_queue_for_any_mix(
    database: Database, wanted: list[tuple[int, int]], started: int
) -> None:
    with database.write() as session:
        session.execute(delete(Job))
    owners = [tenant(database) for _ in range(3)]
    for owner, priority in wanted:
        queue(database, owners[owner], priority=priority)
    for _ in range(started):
        start_next(database)
    with database.read() as session:
        ordered = leases.queued(session, limit=100)
        places = shares.positions(session, list(session.query(Job)))
    assert [places[job_id] for job_id in ordered] == list(range(len(ordered)))


def agree(database: Database, max_running: int = 0) -> dict[str, int]:
    """Every job's place, which is its place in the queue; what cannot start comes behind, each place once."""
    with database.read() as session:
        ordered = leases.queued(session, limit=100, max_running=max_running)
        rows = list(session.query(Job))
        places = shares.positions(session, rows, max_running)
        assert all(queue_position(session, row, max_running) == places.get(row.id) for row in rows)
    assert [places[job_id] for job_id in ordered] == list(range(len(ordered)))
    assert sorted(places.values()) == list(range(len(places)))
    return places


def hold_back(database: Database, job_id: str, seconds: float = 300) -> None:
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(not_before=db_now(seconds)))


def test_who_waits_out_a_back_off_is_behind_who_may_start(database: Database) -> None:
    first, second = tenant(database), tenant(database)
    urgent, old, new = queue(database, first, priority=9), queue(database, first), queue(database, first)
    other = queue(database, second)
    hold_back(database, urgent)
    hold_back(database, old)
    assert agree(database) == {new: 0, other: 1, urgent: 2, old: 3}
    hold_back(database, old, -1)
    assert agree(database) == {old: 0, other: 1, new: 2, urgent: 3}


def test_tenants_without_room_are_behind_those_with(database: Database) -> None:
    full, free = tenant(database), tenant(database)
    for _ in range(4):
        queue(database, full)
    start_next(database)
    mine = [queue(database, free) for _ in range(3)]
    assert [agree(database, 1)[job_id] for job_id in mine] == [0, 1, 2]
    with database.write() as session:
        session.execute(update(Tenant).where(Tenant.id == full[0]).values(max_running_jobs=2))
    assert [agree(database, 1)[job_id] for job_id in mine] == [0, 2, 4]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans()), min_size=1, max_size=12),
    st.integers(0, 4),
    st.integers(0, 2),
)
def test_positions_agree_with_back_offs_and_quotas(
    database: Database, wanted: list[tuple[int, int, bool]], started: int, max_running: int
) -> None:
    with database.write() as session:
        session.execute(delete(Job))
    owners = [tenant(database) for _ in range(3)]
    made = [(queue(database, owners[owner], priority=priority), held) for owner, priority, held in wanted]
    for _ in range(started):
        start_next(database)
    for job_id, held in made:
        if held:
            hold_back(database, job_id)
    agree(database, max_running)


def test_a_job_that_does_not_wait_has_no_position(database: Database) -> None:
    queue(database, tenant(database))
    start_next(database)
    with database.read() as session:
        assert queue_position(session, session.query(Job).one()) is None


def test_whether_anything_waits_agrees_with_the_queue(database: Database) -> None:
    owner = tenant(database)

    def look(max_running: int) -> bool:
        with database.read() as session:
            assert leases.any_queued(session, max_running) == bool(leases.queued(session, max_running=max_running))
            return leases.any_queued(session, max_running)

    assert not look(0)
    queue(database, owner)
    queue(database, owner)
    assert look(1)
    start_next(database)
    assert look(0)
    assert look(2)
    assert not look(1)


def test_publications_wait_in_a_queue_of_their_own(database: Database) -> None:
    owner = tenant(database)
    trained = [queue(database, owner) for _ in range(4)]
    sent = [queue(database, owner, publication={"target": "tensorboard"}, priority=5) for _ in range(2)]
    with database.read() as session:
        few = {job_id: shares.positions(session, [session.get_one(Job, job_id)])[job_id] for job_id in trained + sent}
        many = shares.positions(session, [session.get_one(Job, job_id) for job_id in trained])
        starts = leases.queued(session), leases.queued(session, lane="publications")
    assert [few[job_id] for job_id in trained] == [many[job_id] for job_id in trained] == [0, 1, 2, 3]
    assert [few[job_id] for job_id in sent] == [0, 1]
    assert starts == (trained, sent)


def test_a_worker_is_given_no_export_that_it_cannot_write_and_every_publication(database: Database) -> None:
    """Whatever its own form of JSON is. A publication's job writes nothing, though the job that it is of did."""
    owner = tenant(database)
    config = DistillConfig(recipe="cross_entropy", exports=[ExportRequest(format="gguf")]).model_dump(mode="json")
    plain = queue(database, owner)
    export = queue(database, owner, export={"format": "gguf", "parameters": {}})
    other = queue(database, owner, export={"format": "gguf-q8-0", "parameters": {}}, config=config)
    trains = queue(database, owner, config=config)
    sent = queue(database, owner, publication={"target": "tensorboard"}, config=config)
    with database.read() as session:
        assert leases.queued(session) == [plain, export, other, trains]
        assert leases.queued(session, lacked=["gguf"]) == [plain, other]
        assert leases.queued(session, lacked=["gguf-q8-0", "g%", "_guf"]) == [plain, export, trains]
        assert leases.queued(session, lacked=["gguf"], lane="publications") == [sent]


def test_a_publication_of_a_job_that_runs_follows_it_through_the_lanes(database: Database) -> None:
    """And takes no room beside it: neither waiting nor running."""
    owner = tenant(database)
    job = queue(database, owner)
    made = queue(database, owner, publication={"target": "mlflow"}, student_of=job)
    lanes: tuple[shares.Lane, ...] = ("slots", "publications", "live")

    def look() -> tuple[list[str], int, int, bool]:
        """Lanes in which the publication may start; jobs that wait and that run; whether a worker has work."""
        with database.read() as session:
            mine = [lane for lane in lanes if made in leases.queued(session, max_running=1, lane=lane)]
            assert shares.positions(session, [session.get_one(Job, made)]).keys() <= ({made} if mine else set())
            counts = quotas.queued(session, owner[0]), quotas.running(session, owner[0])
            return mine, *counts, leases.any_queued(session, max_running=1)

    def take(job_id: str) -> Lease:
        with database.write() as session:
            lease = leases.claim(session, job_id, "wrk", 60, max_running=1)
        assert lease is not None
        return lease

    def give_back(lease: Lease, status: Status) -> None:
        with database.write() as session:
            leases.settle(session, lease, Ending(status, "handed_over"))

    assert look() == ([], 1, 0, True)
    running = take(job)
    assert look() == (["live"], 0, 1, True)
    following = take(made)
    assert look() == ([], 0, 1, False)
    give_back(running, "queued")  # its worker was lost
    give_back(following, "queued")
    assert look() == ([], 1, 0, True)
    running, following = take(job), take(made)
    give_back(running, "succeeded")
    give_back(following, "queued")
    assert look() == (["publications"], 1, 0, True)
