"""Following what goes on, a job or a study, until it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from client import sse
from client.errors import Unreachable
from client.transport import PAUSE_SECONDS, Transport
from client.types import TERMINAL, Event

POLL_SECONDS = 20
SILENT_SECONDS = 60.0
RECONNECTS = 20


def until_ended(
    transport: Transport, path: str, on_change: Callable[[Any], None] | None = None, seconds: float | None = None
) -> Any:
    """The document at the path once its status is a last one; `on_change` sees every change. Raises `TimeoutError`
    after `seconds`."""
    deadline = None if seconds is None else time.monotonic() + seconds
    etag = ""
    while True:
        left = POLL_SECONDS if deadline is None else max(0, min(POLL_SECONDS, deadline - time.monotonic()))
        headers = {"If-None-Match": etag, "Prefer": f"wait={round(left)}"} if etag else {}
        answer = transport.request("GET", path, headers=headers)
        if answer.status_code == httpx.codes.OK:
            document = answer.json()
            etag = answer.headers.get("ETag", "")
            if on_change is not None:
                on_change(document)
            if document["status"] in TERMINAL:
                return document
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError(f"{path} has not ended after {seconds:g} s")


def events(transport: Transport, path: str, after: int = 0) -> Iterator[Event]:
    """Everything that has happened and happens there, until it has ended. A broken connection is made again and goes on
    behind the last numbered event. Raises `Unreachable` when it cannot be made again."""
    failures = 0
    while True:
        try:
            for event in _stream(transport, path, after):
                failures = 0
                after = event["seq"] or after
                yield event
            if transport.request("GET", path).json()["status"] in TERMINAL:
                return
            time.sleep(PAUSE_SECONDS)  # the service closed the stream; it may be restarting
        except (httpx.TransportError, httpx.StreamError) as error:
            failures += 1
            if failures > RECONNECTS:
                raise Unreachable(transport.url, str(error) or type(error).__name__) from error
            time.sleep(min(PAUSE_SECONDS * failures, 5))


def _stream(transport: Transport, path: str, after: int) -> Iterator[Event]:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
    with transport.stream(f"{path}/events", headers, SILENT_SECONDS) as response:
        yield from sse.messages(response.iter_lines())
