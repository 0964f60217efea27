"""Events of a job or a study as server-sent events, from the database: any API process can serve any client at any
point."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from fastapi import Header, Request, Response
from fastapi.responses import StreamingResponse

from api.http.auth import Caller, still_valid
from api.resources.history import service as history
from api.resources.jobs import service
from api.state.context import Context
from api.state.watching import Watched
from store.repositories import events
from store.states import TERMINAL

SSE = "text/event-stream"
LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", pattern=r"^\d{1,15}$", description="Go on behind this event.")
]
GONE_SECONDS = 2.0  # after which a client that has gone away is noticed
HEARTBEAT_SECONDS = 15.0
BATCH = 200


def also(noun: str) -> dict[int | str, dict[str, Any]]:
    """`also=` of `documented` for the events of a `noun`."""
    example = 'id: 1\nevent: status\ndata: {"seq":1}\n\n'
    return {
        200: {"content": {SSE: {"schema": {"type": "string"}, "example": example}}},
        204: {"description": f"Stream: the {noun} has ended and there is nothing after Last-Event-ID."},
    }


class Numbered(Protocol):
    """An event as it is shown."""

    @property
    def seq(self) -> int: ...

    @property
    def kind(self) -> str: ...

    def model_dump(self, *, mode: Literal["json"]) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Look:
    """What one look at the database found. `ended`: whether nothing more happens once the `last` event has."""

    events: Sequence[Numbered]
    progress: dict[str, Any] | None
    status: str
    last: int
    ended: bool

    def ended_at(self, seq: int) -> bool:
        """It has ended and `seq` is its last event."""
        return self.ended and seq >= self.last


def look(context: Context, tenant: str, job_id: str, after: int) -> Look:
    """A job's events after `after`, and how it stands. Raises `NotFound`."""
    with context.database.read() as session:
        job = service.find(session, tenant, job_id)
        rows = events.after(session, job_id, after, BATCH) if job.event_seq > after else []
        shown = [history.event(row) for row in rows]
        return Look(shown, job.progress, job.status, job.event_seq, job.status in TERMINAL)


Looking = Callable[[Context, str, str, int], Look]


async def streamed(
    request: Request, context: Context, caller: Caller, row_id: str, after: int, looking: Looking = look
) -> Response:
    """`stream` as an answer; 204 where there is nothing after `after` and never will be, which stops a browser that
    reconnects. Raises `NotFound`."""
    first = await context.lanes.reading.run(looking, context, caller.tenant, row_id, after)
    if first.ended_at(after):
        return Response(status_code=204)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    told = stream(request, context, caller, row_id, after, looking)
    return StreamingResponse(told, media_type=SSE, headers=headers)


async def stream(
    request: Request, context: Context, caller: Caller, row_id: str, after: int, looking: Looking = look
) -> AsyncIterator[str]:
    """Everything after `after`, then what comes; ends behind the event that ends the job (or what else `looking` looks
    at), and with the caller's key.

    Besides the numbered events there is `progress` without an id: the latest only, and not repeated on resume.
    """
    with context.watch.row(row_id) as watched:
        async for text in _messages(request, context, caller, row_id, after, watched, looking):
            yield text


async def _messages(
    request: Request, context: Context, caller: Caller, row_id: str, after: int, watched: Watched, looking: Looking
) -> AsyncIterator[str]:
    progress, spoken = None, time.monotonic()
    while await still_valid(context, caller) and not await request.is_disconnected():
        found = await context.lanes.reading.run(looking, context, caller.tenant, row_id, after)
        lines = [_numbered(each) for each in found.events]
        if found.progress not in (None, progress) and not found.ended:
            progress = found.progress
            lines.append(_message("progress", progress))
        after = found.events[-1].seq if found.events else after
        if lines:
            yield "".join(lines)
            spoken = time.monotonic()
        if found.ended_at(after):
            return
        if time.monotonic() - spoken > HEARTBEAT_SECONDS:
            yield ": heartbeat\n\n"
            spoken = time.monotonic()
        if len(found.events) < BATCH:
            await _wait(watched, found, after, spoken)


async def _wait(watched: Watched, found: Look, after: int, spoken: float) -> None:
    """Until there is something new, or something to do: a heartbeat, a look whether the client is still there."""
    left = min(GONE_SECONDS, HEARTBEAT_SECONDS - (time.monotonic() - spoken))
    await watched.differs((max(after, found.last), found.status, found.progress), max(left, 0.05))


def _numbered(event: Numbered) -> str:
    return f"id: {event.seq}\n" + _message(event.kind, event.model_dump(mode="json"))


def _message(kind: str, data: Any) -> str:
    # JSON without line breaks: one data line is the whole message.
    return f"event: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
