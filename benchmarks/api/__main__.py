"""make bench-api: `python -m benchmarks.api [--jobs 10000] [--seconds 10] [--processes 1] [--write FILE]`.

Starts a Postgres and the API on this machine's loopback, fills the database, and asks. Everything it started is gone
afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import secrets
import subprocess
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psutil
from pydantic import SecretStr

from benchmarks.api.load import Ask, Connection, Result, closed, paced
from benchmarks.api.stock import fill
from store.database import Database
from store.repositories import events
from store.settings import Settings
from tests.api.process import api_process
from tests.services import postgres

SSE_CLIENTS, SSE_JOBS = 200, 20
COLUMNS = ("What", "requests/s", "p50 ms", "p95 ms", "p99 ms", "CPU ms each: API / Postgres", "answers")
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--only", default="", help="questions with this in their name; `streams` for the last")
    parser.add_argument("--write", type=Path, help="append the figures to this file")
    given = parser.parse_args()
    with TemporaryDirectory() as name, postgres.running(Path(name)) as server:
        folder = Path(name) / "api"
        folder.mkdir()
        text = run(given, server.new_database(), folder, server.server.pid)
    print(text)
    if given.write:
        with given.write.open("a") as file:
            file.write(f"\n{text}")


def run(given: argparse.Namespace, url: str, folder: Path, postgres_pid: int) -> str:
    key = secrets.token_urlsafe(32)
    settings = Settings(
        data_dir=folder, database_url=url, api_key=SecretStr(key), rate_limit_per_second=0, log_level="WARNING"
    )
    load_before = os.getloadavg()
    with api_process(settings, folder, given.processes) as process:
        database = Database(url)
        ids = fill(database, given.jobs)
        bench = Bench(process.url, key, database, ids, given.seconds)
        bench.watch(API=process.pid, Postgres=postgres_pid)
        lines = asyncio.run(bench.all(given.only))
        peak = process.peak_bytes()
        version = _version(database)
        database.close()
    load_after = os.getloadavg()[0]
    facts = (
        f"{platform.machine()}, {os.cpu_count()} cores shared by API, Postgres {version} and the load generator; "
        f"Python {platform.python_version()}; load average before {load_before[0]:.1f}, after {load_after:.1f}; "
        f"{given.jobs} jobs stored; API's peak memory {peak / 2**20:.0f} MiB (all processes)."
    )
    title = f"## {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {_commit()}, {given.processes} API process(es)"
    return "\n".join([title, "", facts, "", HEAD, *lines, ""])


class Bench:
    """The questions, each for `seconds`."""

    def __init__(self, url: str, key: str, database: Database, ids: dict[str, list[str]], seconds: float) -> None:
        self._url, self._key, self.database, self.ids, self.seconds = urlsplit(url), key, database, ids, seconds
        self._watched: dict[str, int] = {}

    def watch(self, **processes: int) -> None:
        """Count the processor time of these processes and of all that they started."""
        self._watched = processes

    def connect(self) -> Connection:
        return Connection(str(self._url.hostname), int(self._url.port or 0), self._key)

    async def all(self, only: str) -> list[str]:
        plan: list[tuple[str, Callable[[], Awaitable[Result]]]] = [
            ("GET /livez, 16 connections", lambda: self.full(self.alive, 16)),
            ("GET /jobs/{id}, 16 connections", lambda: self.full(self.job, 16)),
            ("GET /jobs/{id}, 200/s", lambda: self.at(self.job, 200)),
            ("GET /jobs/{id of a queued one}, 16 connections", lambda: self.full(self.queued, 16)),
            ("GET /jobs?limit=50, 8 connections", lambda: self.full(self.page, 8)),
            ("GET /jobs/{id}/events, 16 connections", lambda: self.full(self.events, 16)),
            ("POST /jobs, 100/s", lambda: self.at(self.submit, 100)),
            ("POST /jobs, 8 connections", lambda: self.full(self.submit, 8)),
        ]
        await closed(self.connect, self.job, 4, 1)  # warm
        lines = [await self._measured(what, ask) for what, ask in plan if only in what]
        return lines + (await self.streams() if only in "streams" else [])

    async def full(self, ask: Ask, connections: int) -> Result:
        return await closed(self.connect, ask, connections, self.seconds)

    async def at(self, ask: Ask, per_second: float) -> Result:
        return await paced(self.connect, ask, per_second, self.seconds)

    async def _measured(self, what: str, ask: Callable[[], Awaitable[Result]]) -> str:
        before = self._used()
        result = await ask()
        result.processor = {name: used - before[name] for name, used in self._used().items()}
        return self.row(what, result)

    def _used(self) -> dict[str, float]:
        return {name: _processor_seconds(pid) for name, pid in self._watched.items()}

    async def alive(self, connection: Connection, number: int) -> tuple[int, bytes]:
        return await connection.request("GET", "/livez")

    async def job(self, connection: Connection, number: int) -> tuple[int, bytes]:
        return await connection.request("GET", f"/jobs/{self._any('job', number)}")

    async def queued(self, connection: Connection, number: int) -> tuple[int, bytes]:
        return await connection.request("GET", f"/jobs/{self._any('queued', number)}")

    async def page(self, connection: Connection, number: int) -> tuple[int, bytes]:
        return await connection.request("GET", "/jobs?limit=50")

    async def events(self, connection: Connection, number: int) -> tuple[int, bytes]:
        return await connection.request("GET", f"/jobs/{self._any('job', number)}/events")

    async def submit(self, connection: Connection, number: int) -> tuple[int, bytes]:
        body = {"teacher": self.ids["teacher"][0], "dataset": self.ids["dataset"][0], "student": "retort:resnet8"}
        return await connection.request("POST", "/jobs", json.dumps(body).encode())

    def _any(self, kind: str, number: int) -> str:
        ids = self.ids[kind]
        return ids[number * 7919 % len(ids)]

    async def streams(self) -> list[str]:
        """200 clients on 20 live jobs: how late they hear of an event, and how reads fare beside them."""
        watched, arrived, sent = self.ids["queued"][:SSE_JOBS], Result(), dict[str, float]()

        def heard(line: bytes) -> None:
            if line.startswith(b"data:") and b'"stamp"' in line:
                stamp = json.loads(line[5:])["data"]["stamp"]
                arrived.seconds.append(time.perf_counter() - sent[stamp])

        after = 10_000_000 if not watched else 0
        clients = [
            asyncio.create_task(self.connect().stream(f"/jobs/{watched[n % SSE_JOBS]}/events", after, heard))
            for n in range(SSE_CLIENTS)
        ]
        await asyncio.sleep(3)
        started = time.perf_counter()
        before, reads = self._used(), asyncio.create_task(paced(self.connect, self.job, 50, self.seconds))
        rounds = 0
        while time.perf_counter() - started < self.seconds:
            for job_id in watched:
                stamp = f"{job_id}-{rounds}"
                sent[stamp] = time.perf_counter()
                await asyncio.to_thread(self._append, job_id, stamp)
            rounds += 1
            await asyncio.sleep(0.5)
        await asyncio.sleep(2)
        arrived.elapsed = time.perf_counter() - started
        open_still = sum(not client.done() for client in clients)
        for client in clients:
            client.cancel()
        arrived.processor = {name: used - before[name] for name, used in self._used().items()}
        expected = rounds * SSE_CLIENTS
        return [
            self.row(f"event to SSE client, {open_still} clients on {SSE_JOBS} jobs ({expected} expected)", arrived),
            self.row("GET /jobs/{id}, 50/s, beside those", await reads),
        ]

    def _append(self, job_id: str, stamp: str) -> None:
        with self.database.write() as session:
            events.append(session, job_id, "log", {"stamp": stamp})

    @staticmethod
    def row(what: str, result: Result) -> str:
        line = f"| {what} | {result.line()} |"
        print(line, flush=True)
        return line


def _processor_seconds(pid: int) -> float:
    root = psutil.Process(pid)
    return sum(sum(process.cpu_times()[:2]) for process in [root, *root.children(recursive=True)])


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _version(database: Database) -> str:
    with database.engine.connect() as connection:
        return str(connection.exec_driver_sql("SHOW server_version").scalar()).split(" ")[0]


if __name__ == "__main__":
    main()
