"""A small HTTP/1.1 load generator: raw sockets on asyncio, so that it costs the machine little beside the service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

LIMIT = 1 << 24


@dataclass
class Result:
    """What a run measured. `seconds` holds one time an answer, in the order they came."""

    elapsed: float = 0.0
    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)  # seconds by what used them

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.elapsed if self.elapsed else 0.0

    def percentile(self, percent: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else float("nan")

    def line(self) -> str:
        wrong = {status: count for status, count in self.statuses.items() if status >= 400}
        each = " / ".join(f"{1000 * used / max(1, len(self.seconds)):.2f}" for used in self.processor.values())
        return (
            f"{self.per_second:.0f} | {self.percentile(50):.1f} | {self.percentile(95):.1f} | "
            f"{self.percentile(99):.1f} | {each} | {len(self.seconds)}{f' ({wrong})' if wrong else ''}"
        )


class Connection:
    """One keep-alive connection."""

    def __init__(self, host: str, port: int, key: str) -> None:
        self._host, self._port = host, port
        self._headers = f"Host: {host}:{port}\r\nAuthorization: Bearer {key}\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port, limit=LIMIT)
        reader, writer = self._streams
        content = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        writer.write(f"{method} {path} HTTP/1.1\r\n{self._headers}{content}\r\n".encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next(int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:"))
        return int(head.split(" ", 2)[1]), await reader.readexactly(length)

    async def stream(self, path: str, after: int, on_line: Callable[[bytes], None]) -> None:
        """Read server-sent events for ever."""
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=LIMIT)
        extra = f"Accept: text/event-stream\r\nLast-Event-ID: {after}\r\n"
        writer.write(f"GET {path} HTTP/1.1\r\n{self._headers}{extra}\r\n".encode())
        try:
            while line := await reader.readline():
                on_line(line)
        finally:
            writer.close()


Ask = Callable[[Connection, int], Awaitable[tuple[int, bytes]]]
Connect = Callable[[], Connection]


async def closed(connect: Connect, ask: Ask, connections: int, seconds: float) -> Result:
    """Each connection asks again as soon as it has its answer: what the service can do."""
    result, ends, started = Result(), time.perf_counter() + seconds, time.perf_counter()

    async def go_on(first: int) -> None:
        connection, number = connect(), first
        while time.perf_counter() < ends:
            await _timed(result, ask, connection, number)
            number += connections

    await asyncio.gather(*(go_on(number) for number in range(connections)))
    result.elapsed = time.perf_counter() - started
    return result


async def paced(connect: Connect, ask: Ask, per_second: float, seconds: float) -> Result:
    """So many a second whatever the answers do. A time counts from when the request was due, so that waiting for a free
    connection is not left out."""
    result, free = Result(), [connect() for _ in range(64)]
    started, tasks = time.perf_counter(), []
    available = asyncio.Semaphore(len(free))

    async def one(number: int, due: float) -> None:
        async with available:
            connection = free.pop()
            await _timed(result, ask, connection, number, due)
            free.append(connection)

    for number in range(int(per_second * seconds)):
        due = started + number / per_second
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*tasks)
    result.elapsed = time.perf_counter() - started
    return result


async def _timed(result: Result, ask: Ask, connection: Connection, number: int, due: float | None = None) -> None:
    started = time.perf_counter() if due is None else due
    status, _ = await ask(connection, number)
    result.seconds.append(time.perf_counter() - started)
    result.statuses[status] = result.statuses.get(status, 0) + 1
