"""`retort serve` as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import httpx

from tests.slowness import within
from tests.waiting import until

COMMAND = (sys.executable, "-c", "from embedded.cli import serve; serve()")
#: A lease is long enough to be renewed on a busy machine: a worker that is late has lost its job.
SHORT = {"RETORT_LEASE_SECONDS": f"{within(4):g}", "RETORT_RENEW_SECONDS": "1", "RETORT_SWEEP_SECONDS": "1"}
#: A request waits for an inspection or a count as long as the machine needs: it answers alike on all.
PATIENT = {"RETORT_INSPECT_WAIT_SECONDS": "240"}


class Service:
    started: ClassVar[list[Service]] = []

    def __init__(self, folder: Path, *arguments: str, stdin: int | None = None, **environment: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RETORT_")}
        self.log = folder.with_suffix(".log")
        with self.log.open("ab") as log:
            self.start = log.tell()
            self.process = subprocess.Popen(
                [*COMMAND, "--data-dir", str(folder), "--port", "0", *arguments],
                stdin=stdin,
                stdout=log,
                stderr=log,
                env=kept | SHORT | PATIENT | environment,
                start_new_session=True,
            )
        self.started.append(self)

    @property
    def said(self) -> str:
        return self.log.read_bytes()[self.start :].decode()

    @property
    def url(self) -> str:
        """Waits until the service says where it is."""
        until(lambda: "serves at" in self.said or self.process.poll() is not None, 120)
        found = re.search(r"serves at (\S+)", self.said)
        assert found is not None, self.said
        return found.group(1)

    def client(self) -> httpx.Client:
        client = httpx.Client(base_url=self.url, timeout=within(300))
        until(lambda: answers(client), 60)
        return client

    def end(self, number: int = signal.SIGTERM) -> int:
        """Signal the service's own process and wait for its end."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(within(60))

    def kill(self) -> None:
        """Its trainers end by themselves: their lifeline breaks."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(within(60))


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def wait_for(client: httpx.Client, job_id: str, seconds: float, **wanted: Any) -> dict[str, Any]:
    """Poll until the job has these values."""

    def look() -> dict[str, Any]:
        job: dict[str, Any] = client.get(f"/jobs/{job_id}").raise_for_status().json()
        return job

    def as_wanted() -> dict[str, Any] | None:
        job = look()
        if all(job.get(name) == value for name, value in wanted.items()):
            return job
        assert job["status"] != "failed", job["error"]
        return None

    found = until(as_wanted, seconds, look, pause=0.2)
    assert found is not None
    return found
