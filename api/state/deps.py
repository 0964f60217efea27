"""What endpoints ask for. One request is one transaction, over before the first byte of the answer is sent."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import contextmanager_in_threadpool
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from api.errors.problems import Unavailable
from api.state.context import Context
from api.state.lanes import Lane, Lanes

log = logging.getLogger(__name__)


async def get_context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(get_context)]


def _session_in(lane: Callable[[Lanes], Lane]) -> Callable[[ContextDep], AsyncIterator[Session]]:
    """A dependency: a session that reads, with a place in this lane."""

    async def session_in(context: ContextDep) -> AsyncIterator[Session]:
        async with lane(context.lanes).place(), contextmanager_in_threadpool(context.database.read()) as session:
            yield session

    return session_in


# FastAPI runs a yield-dependency's exit after the response unless its scope is the function's.
ReadSession = Annotated[Session, Depends(_session_in(lambda lanes: lanes.reading), scope="function")]
#: For pages of a list.
ListSession = Annotated[Session, Depends(_session_in(lambda lanes: lanes.listing), scope="function")]


async def _reading(context: ContextDep) -> AsyncIterator[None]:
    async with context.lanes.reading.place():
        yield


async def _storing(context: ContextDep) -> AsyncIterator[None]:
    async with context.lanes.storing.place():
        yield


#: For endpoints that open their transactions themselves: a place among those that wait for the database.
Reading = Annotated[None, Depends(_reading, scope="function")]
#: For endpoints that call the object store, whatever else they do: a place among those that wait for it.
Storing = Annotated[None, Depends(_storing, scope="function")]


@dataclass
class Work:
    """A write transaction, and what to do once it is committed (ring, remove objects). Never before."""

    context: Context
    session: Session
    _after: list[Callable[[], None]] = field(default_factory=list)
    _removals: list[Callable[[], None]] = field(default_factory=list)

    def after_commit(self, action: Callable[[], None]) -> None:
        """For what waits for nobody."""
        self._after.append(action)

    def remove_after_commit(self, action: Callable[[], None]) -> None:
        """For objects whose rows are gone with the commit. They stay, as orphans, where the store does not answer."""
        self._removals.append(action)

    async def finish(self) -> None:
        if self._after:
            await run_in_threadpool(self._act)
        for removal in self._removals:
            try:
                await self.context.lanes.storing.run(removal)
            except Unavailable as error:
                log.warning("objects of deleted rows are removed later: %s", error)

    def _act(self) -> None:
        for action in self._after:
            action()


async def write_work(context: ContextDep) -> AsyncIterator[Work]:
    async with context.lanes.writing.place(), contextmanager_in_threadpool(context.database.write()) as session:
        work = Work(context, session)
        yield work
    await work.finish()


WorkDep = Annotated[Work, Depends(write_work, scope="function")]
