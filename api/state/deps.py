"""What endpoints ask for. One request is one transaction, over before the first byte of the answer is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from api.state.context import Context


async def get_context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(get_context)]


def read_session(context: ContextDep) -> Iterator[Session]:
    with context.database.read() as session:
        yield session


# FastAPI runs a yield-dependency's exit after the response unless its scope is the function's.
ReadSession = Annotated[Session, Depends(read_session, scope="function")]


@dataclass
class Work:
    """A write transaction, and what to do once it is committed (ring, remove objects). Never before."""

    context: Context
    session: Session
    _after: list[Callable[[], None]] = field(default_factory=list)

    def after_commit(self, action: Callable[[], None]) -> None:
        self._after.append(action)

    def finish(self) -> None:
        for action in self._after:
            action()


def write_work(context: ContextDep) -> Iterator[Work]:
    with context.database.write() as session:
        work = Work(context, session)
        yield work
    work.finish()


WorkDep = Annotated[Work, Depends(write_work, scope="function")]
