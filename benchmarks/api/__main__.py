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
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psutil
from pydantic import SecretStr

from benchmarks.api.load import Connection, Result, closed, paced
from benchmarks.api.stock import fill
from store.database import Database
from store.repositories import events
from store.settings import Settings
from tests.api.process import api_process
from tests.services import postgres

SSE_CLIENTS, SSE_JOBS = 200, 20
HEAD = "| What | requests/s | p50 ms | p95 ms | p99 ms | answers |\n|---|---|---|---|---|---|"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--write", type=Path, help="append the figures to this file")
    given = parser.parse_args()
    with TemporaryDirectory() as name, postgres.running(Path(name)) as server:
        folder = Path(name) / "api"
        folder.mkdir()
        text = run(given, server.new_database(), folder)
    print(text)
    if given.write:
        with given.write.open("a") as file:
            file.write(f"\n{text}")


def run(given: argparse.Namespace, url: str, folder: Path) -> str:
    key = secrets.token_urlsafe(32)
    settings = Settings(
        data_dir=folder, database_url=url, api_key=SecretStr(key), rate_limit_per_second=0, log_level="WARNING"
    )
    load_before = os.getloadavg()
    with api_process(settings, folder, given.processes) as process:
        database = Database(url)
        ids = fill(database, given.jobs)
        where = urlsplit(process.url)
        bench = Bench(lambda: Connection(str(where.hostname), int(where.port or 0), key), database, ids, given.seconds)
        used = _processor_seconds(process.pid)
        lines = asyncio.run(bench.all())
        used, peak = _processor_seconds(process.pid) - used, process.peak_bytes()
        database.close()
    facts = [
        f"## {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {_commit()}, {given.processes} API process(es)",
        "",
        f"{platform.machine()}, {os.cpu_count()} cores shared by API, Postgres {_version(url)}, load generator; "
        f"Python {platform.python_version()}; load before {load_before[0]:.1f}, after {os.getloadavg()[0]:.1f}; "
        f"{given.jobs} jobs stored; API processor time {used:.0f} s, first one's peak memory {peak / 2**20:.0f} MiB.",
        "",
        HEAD,
    ]
    return "\n".join([*facts, *lines, ""])


class Bench:
    """The questions, each for `seconds`."""

    def __init__(self, connect: object, database: Database, ids: dict[str, list[str]], seconds: float) -> None:
        self.connect, self.database, self.ids, self.seconds = connect, database, ids, seconds

    async def all(self) -> list[str]:
        await closed(self.connect, self.job, 4, 2)  # warm
        lines = [
            self.row("GET /livez, 16 connections", await closed(self.connect, self.alive, 16, self.seconds / 2)),
            self.row("GET /jobs/{id}, 16 connections", await closed(self.connect, self.job, 16, self.seconds)),
            self.row("GET /jobs/{id}, 200/s", await paced(self.connect, self.job, 200, self.seconds)),
            self.row(
                "GET /jobs/{queued id}, 16 connections", await closed(self.connect, self.queued, 16, self.seconds)
            ),
            self.row("GET /jobs?limit=50, 8 connections", await closed(self.connect, self.page, 8, self.seconds)),
            self.row(
                "GET /jobs/{id}/events, 16 connections", await closed(self.connect, self.events, 16, self.seconds)
            ),
            self.row("POST /jobs, 100/s", await paced(self.connect, self.submit, 100, self.seconds)),
            self.row("POST /jobs, 8 connections", await closed(self.connect, self.submit, 8, self.seconds)),
        ]
        return [*lines, *await self.streams()]

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
        reads = asyncio.create_task(paced(self.connect, self.job, 50, self.seconds))
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


def _version(url: str) -> str:
    database = Database(url)
    with database.engine.connect() as connection:
        version = connection.exec_driver_sql("SHOW server_version").scalar()
    database.close()
    return str(version).split(" ")[0]


if __name__ == "__main__":
    main()
