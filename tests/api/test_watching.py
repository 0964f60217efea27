"""One look at the database for everybody who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, update

from api.state import watching
from api.state.lanes import Lanes
from api.state.watching import Watch
from store.database import Database
from store.repositories import events, jobs
from store.tables import Job
from tests.store.support import migrated, new_job, read_job


@pytest.fixture
def job_id(database: Database) -> str:
    return new_job(database)


@pytest.fixture
def database(request: pytest.FixtureRequest, sqlite_url: str) -> Any:
    with migrated(sqlite_url) as database:
        yield database


def version(database: Database, job_id: str) -> watching.Version:
    job = read_job(database, job_id)
    return job.event_seq, job.status, job.progress


async def told(watch: Watch, job_id: str, seen: watching.Version, change: Callable[[], None] | None) -> float:
    """Seconds until a watcher was told, 5 at most."""
    loop = asyncio.get_running_loop()
    with watch.row(job_id) as watched:
        waiting = asyncio.create_task(watched.differs(seen, 5))
        await asyncio.sleep(2 * watching.POLL_SECONDS)
        assert waiting.done() == (change is None)
        started = loop.time()
        if change is not None:
            await asyncio.to_thread(change)
        await waiting
        return loop.time() - started


def test_events_progress_and_states_are_told(database: Database, job_id: str) -> None:
    def append() -> None:
        with database.write() as session:
            events.append(session, job_id, "log", {})

    def progress() -> None:
        with database.write() as session:
            session.execute(update(Job).values(progress={"step": 1}))

    def delete() -> None:
        with database.write() as session:
            jobs.delete(session, job_id)

    watch = Watch(database, Lanes().reading)
    for change in (append, progress, delete):
        seen = version(database, job_id)
        assert asyncio.run(told(watch, job_id, seen, change)) < 4
    assert watch._rows == {}


def test_what_was_not_seen_is_told_at_once(database: Database, job_id: str) -> None:
    seen = (0, "queued", None)
    assert asyncio.run(told(Watch(database, Lanes().reading), job_id, seen, None)) < 1


def test_nothing_new_ends_with_the_time(database: Database, job_id: str) -> None:
    async def wait() -> None:
        with Watch(database, Lanes().reading).row(job_id) as watched:
            await watched.differs(version(database, job_id), 0.6)

    asyncio.run(wait())


def test_many_watchers_cost_as_many_looks_as_one(database: Database) -> None:
    ids, looks = [new_job(database) for _ in range(3)], []
    event.listen(database.engine, "before_cursor_execute", lambda *given: looks.append(given[2]))

    async def watchers() -> None:
        watch = Watch(database, Lanes().reading)
        seen = {job_id: version(database, job_id) for job_id in ids}
        looks.clear()

        async def one(job_id: str) -> None:
            with watch.row(job_id) as watched:
                await watched.differs(seen[job_id], 4.5 * watching.POLL_SECONDS)

        await asyncio.gather(*(one(ids[n % 3]) for n in range(60)))

    asyncio.run(watchers())
    assert 1 <= len([each for each in looks if "FROM jobs" in each]) <= 6


def test_a_database_that_is_away_wakes_everybody(database: Database, job_id: str) -> None:
    async def wait() -> float:
        watch, loop = Watch(database, Lanes().reading), asyncio.get_running_loop()
        seen = version(database, job_id)
        with watch.row(job_id) as watched:
            waiting = asyncio.create_task(watched.differs(seen, 30))
            await asyncio.sleep(2 * watching.POLL_SECONDS)
            with database.engine.connect() as connection:
                connection.exec_driver_sql("ALTER TABLE jobs RENAME TO away")
                connection.commit()
            started = loop.time()
            await waiting
            return loop.time() - started

    assert asyncio.run(wait()) < 10
