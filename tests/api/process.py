"""The API as processes of its own, as it is deployed, and how much memory they have needed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from api.serving import KEEP_ALIVE_SECONDS
from store.settings import Settings
from tests.services.processes import Server, free_ports, port_answers
from tests.services.tables import opened

ROOT = Path(__file__).resolve().parents[2]


class ApiProcess:
    """`url` answers."""

    def __init__(self, url: str, pid: int) -> None:
        self.url, self.pid = url, pid

    def pids(self) -> list[int]:
        """The process and all that it has started: with several workers it only looks after those."""
        return [self.pid, *(child.pid for child in psutil.Process(self.pid).children(recursive=True))]

    def resident_bytes(self) -> int:
        """Of all processes; pages that they share count in each."""
        return sum(status_bytes(pid, "VmRSS") for pid in self.pids())

    def peak_bytes(self) -> int:
        """The sum of the most that was resident of each process since `forget_peak`: at no moment were all together
        larger."""
        return sum(status_bytes(pid, "VmHWM") for pid in self.pids())

    def forget_peak(self) -> None:
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")


def status_bytes(pid: int, name: str) -> int:
    """A figure of the kernel about one process."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def environment(settings: Settings) -> dict[str, str]:
    """The settings that differ from the defaults, as the environment that makes them."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    plain = {n: v.get_secret_value() if hasattr(v, "get_secret_value") else str(v) for n, v in given.items()}
    return os.environ | {"PYTHONPATH": str(ROOT)} | {f"RETORT_{name.upper()}": value for name, value in plain.items()}


@contextmanager
def api_process(settings: Settings, folder: Path, workers: int = 1) -> Iterator[ApiProcess]:
    """A migrated database and uvicorn over it."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    opened(settings.resolved_database_url).close()
    (port,) = free_ports(1)
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--factory",
        "api.app:create_app",
        "--port",
        str(port),
        "--no-access-log",
        "--timeout-keep-alive",
        str(KEEP_ALIVE_SECONDS),
    ]
    server = Server([*command, "--workers", str(workers)], folder, environment(settings))
    server.start(lambda: port_answers(port))
    try:
        url = f"http://127.0.0.1:{port}"
        httpx.get(f"{url}/readyz").raise_for_status()
        yield ApiProcess(url, server.pid)
    finally:
        server.stop()
