"""A service of our own for as long as a block runs: `retort serve` on a free port of the loopback address."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from client.api import Retort
from client.errors import RetortClientError

START_SECONDS = 90.0
STOP_SECONDS = 60.0


@contextmanager
def running(data_dir: Path, log: Path) -> Iterator[str]:
    """The service's URL; when the block ends, however it ends, the service has ended too."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {"RETORT_DATA_DIR": str(data_dir.absolute()), "RETORT_HOST": "127.0.0.1", "RETORT_PORT": str(port)}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches us alone, so that the job can be cancelled before its service goes.
        process = subprocess.Popen(
            [sys.executable, "-m", "client", "serve"],
            env=os.environ | settings,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _await(process, url, log)
            yield url
        finally:
            _end(process)


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Until a worker has published what it can do: ready to answer is not yet ready to work."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with Retort(url) as retort:
                if retort.catalogue()["architectures"]:
                    return
        except RetortClientError:
            pass
        time.sleep(0.2)
    why = "ended" if process.poll() is not None else f"is not ready after {START_SECONDS:g} s"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise RetortClientError(f"The service {why}. Its last lines:\n{tail}", f"See {log}.")


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL to the whole group when that is not enough."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
