"""A Ray cluster on this machine: every node is what `ray start` starts, and can be lost like a machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.faults import processes
from tests.integration.stack import ROOT
from tests.services.processes import Server, free_ports

HOST = "127.0.0.1"
NAME = "TEST_NODE"
STARTED, TRIES = "Ray runtime started", 4
STORE_BYTES = 80_000_000  # Ray's least is 75 MB
#: Ray takes a node for dead that does not answer, and a worker that does not report: later, where the machine is busy.
PATIENT = {"RAY_health_check_timeout_ms": "600000", "RAY_worker_register_timeout_seconds": "3000"}


class Nodes:
    """`address`: of the head. Each node has one core for processes of jobs. `folder`: its path must be short, since
    Ray's sockets are below it."""

    def __init__(self, folder: Path) -> None:
        (self._port,) = free_ports(1)
        self.address, self._folder = f"{HOST}:{self._port}", folder
        self._named: dict[str, Server] = {}

    def head(self) -> None:
        self._start("head", ("--head", f"--port={self._port}", "--include-dashboard=false",
                             f"--temp-dir={self._folder / 'ray'}"))  # fmt: skip

    def join(self, name: str, before: Sequence[str] = (), gpus: int = 0) -> None:
        """One more node. `before`: a command that starts it. `gpus`: how many it says that it has."""
        self._start(name, (f"--address={self.address}", f"--num-gpus={gpus}"), before)

    def lose(self, name: str) -> None:
        """All at once, as when a machine is switched off; what Ray itself has not started must end by itself."""
        del self._named[name]
        for process in processes.naming(f"{self._folder}/{name}"):
            process.kill()

    def close(self) -> None:
        for name in list(self._named):
            self.lose(name)

    def _start(self, name: str, more: Sequence[str], before: Sequence[str] = ()) -> None:
        """Ray gives a node half a minute to start in, which a busy machine may exceed."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        ray = str(Path(sys.executable).parent / "ray")
        common = ("--num-cpus=1", f"--object-store-memory={STORE_BYTES}", f"--node-ip-address={HOST}",
                  "--disable-usage-stats", "--block")  # fmt: skip
        kept = {key: value for key, value in os.environ.items() if not key.startswith("RETORT_")}
        environment = kept | PATIENT | {"PYTHONPATH": str(ROOT), NAME: str(folder)}
        log = folder / "log"
        for left in reversed(range(TRIES)):
            log.unlink(missing_ok=True)
            server = self._named[name] = Server((*before, ray, "start", *more, *common), folder, environment)
            try:
                server.start(lambda: STARTED in log.read_text())
                return
            except RuntimeError:
                self.lose(name)
                if not left:
                    raise
