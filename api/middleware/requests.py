"""The outermost layer: every request has an id, a span where traces are on, and a line in the log."""

from __future__ import annotations

import logging
import re
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from store import logs, tracing
from store.ids import new_id

log = logging.getLogger("api.requests")
HEADER = "X-Request-ID"
_GIVEN = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class Requests:
    """Takes the caller's `X-Request-ID` where it is one, makes one where not, and gives it back with every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers, started, status = Headers(scope=scope), time.perf_counter(), 500
        request_id = headers.get(HEADER, "")
        request_id = request_id if _GIVEN.fullmatch(request_id) else new_id("req")

        async def with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        facts = {"http__request__method": scope["method"], "url__path": scope["path"], "request_id": request_id}
        with (
            logs.bound(request_id=request_id),
            tracing.span(scope["method"], "server", headers.get("traceparent"), **facts) as span,
        ):
            try:
                await self.app(scope, receive, with_id)
            finally:
                route = getattr(scope.get("route"), "path_format", None)
                span.note(
                    f"{scope['method']} {route or 'other'}", http__response__status_code=status, http__route=route
                )
                seconds = time.perf_counter() - started
                log.debug("%s %s: %d in %.3f s", scope["method"], scope["path"], status, seconds)
