"""Start a server for the tests on free ports of 127.0.0.1 and stop it with everything it started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from client.waiting import Life
from client.waiting import until as wait_for_life
from tests.slowness import within

QUIET_SECONDS = 60.0  # in which a server that does not answer yet may do nothing


def free_ports(count: int, below: int = 55_000) -> list[int]:
    """Ports that were free a moment ago, low enough that `port + 10000` (SeaweedFS's gRPC default) exists too."""
    sockets, ports = [], []
    while len(ports) < count:
        candidate = socket.socket()
        candidate.bind(("127.0.0.1", 0))
        sockets.append(candidate)
        if candidate.getsockname()[1] < below:
            ports.append(candidate.getsockname()[1])
    for candidate in sockets:
        candidate.close()
    return ports


def missing(server: str, remedy: str) -> None:
    """Skip loudly, or fail where the services are required (CI sets RETORT_REQUIRE_SERVICES=1)."""
    message = f"{server} was not found on this machine, so this test did not run: {remedy}"
    if os.environ.get("RETORT_REQUIRE_SERVICES") == "1":
        pytest.fail(message)
    pytest.skip(message)


def find_program(name: str, folders: Sequence[Path] = ()) -> str | None:
    """Beside this Python (wheels put programs there), in `folders`, or on PATH."""
    for folder in (Path(sys.executable).parent, *folders):
        if os.access(folder / name, os.X_OK):
            return str(folder / name)
    return shutil.which(name)


class Server:
    """A process in its own group whose output lies in `folder/log`."""

    def __init__(self, command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> None:
        self.command, self.folder, self.environment = list(command), folder, environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, answers: Callable[[], bool]) -> None:
        """Start and wait until `answers` is true, as long as it works. Raises with the log when it ends or hangs."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command, stdout=log, stderr=log, start_new_session=True, env=self.environment, cwd="/"
            )
        life = Life(self._process, self.folder / "log")
        if not wait_for_life(life, answers, self.command[0], print, QUIET_SECONDS):
            self.kill()
            raise RuntimeError(f"{self.command[0]} did not start:\n{life.tail(60)}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self, number: int = signal.SIGTERM, seconds: float = 20) -> None:
        """Ask to end and wait; kill after `seconds`."""
        if self._process is None:
            return
        self._signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(within(seconds))
        self.kill()

    def kill(self) -> None:
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _signal(self, number: int) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def port_answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return True
    except OSError:
        return False
