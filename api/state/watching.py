"""Who waits for a job or a study to change: one look at the database for all watched, however many clients watch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from api.errors.problems import Unavailable
from api.state.lanes import Lane
from store.database import AWAY, Database
from store.tables import Job, Study

POLL_SECONDS = 0.25
AT_ONCE = 500  # ids of one query
STUDY = "stu_"  # what a study's id begins with
Version = tuple[int, str, Any]


@dataclass
class Watched:
    """A job or a study with those who watch it. `version` is None until it was looked at, and once it is gone."""

    watchers: int = 0
    version: Version | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def differs(self, seen: Version, seconds: float) -> None:
        """Until it is not as it was seen, it cannot be looked at, or the time is over."""
        deadline = asyncio.get_running_loop().time() + seconds
        if self.version not in (None, seen):
            # Either it has changed, or who watches has looked later than we have: a pause keeps that from being
            # a look at the database after the other.
            await asyncio.sleep(min(seconds, POLL_SECONDS))
            return
        while self.version in (None, seen):
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return
            event = self.changed
            try:
                await asyncio.wait_for(event.wait(), left)
            except TimeoutError:
                return
            if self.version is None:  # gone, or the database is away: its own look will tell
                return

    def tell(self, version: Version | None) -> None:
        self.version = version
        self.changed.set()
        self.changed = asyncio.Event()


class Watch:
    """Looks while somebody watches. One a process; its task lives in the loop of whoever watches."""

    def __init__(self, database: Database, lane: Lane) -> None:
        self._database, self._lane = database, lane
        self._rows: dict[str, Watched] = {}
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def row(self, row_id: str) -> Iterator[Watched]:
        """Watch the job or study for the time of the block, in a running loop."""
        watched = self._rows.setdefault(row_id, Watched())
        watched.watchers += 1
        if self._task is None or self._task.done() or self._task.get_loop() is not asyncio.get_running_loop():
            self._task = asyncio.create_task(self._look())
        try:
            yield watched
        finally:
            watched.watchers -= 1
            if not watched.watchers and self._rows.get(row_id) is watched:
                del self._rows[row_id]

    def watched(self, row_id: str) -> bool:
        """Whether somebody watches it now."""
        return row_id in self._rows

    async def _look(self) -> None:
        while self._rows:
            ids = list(self._rows)
            for start in range(0, len(ids), AT_ONCE):
                await self._compare(ids[start : start + AT_ONCE])
            await asyncio.sleep(POLL_SECONDS)

    async def _compare(self, ids: list[str]) -> None:
        try:
            found: dict[str, Version] | None = await self._lane.run(self._versions, ids)
        except (*AWAY, Unavailable):
            found = None
        for row_id in ids:
            watched = self._rows.get(row_id)
            version = (found or {}).get(row_id)
            if watched is not None and (version is None or version != watched.version):
                watched.tell(version)

    def _versions(self, ids: list[str]) -> dict[str, Version]:
        jobs = select(Job.id, Job.event_seq, Job.status, Job.progress).where(Job.id.in_(ids))
        searches = [row_id for row_id in ids if row_id.startswith(STUDY)]
        studies = select(Study.id, Study.event_seq, Study.status).where(Study.id.in_(searches))
        with self._database.read() as session:
            found: dict[str, Version] = {row[0]: (row[1], row[2], row[3]) for row in session.execute(jobs)}
            if searches:
                found |= {row[0]: (row[1], row[2], None) for row in session.execute(studies)}
        return found
