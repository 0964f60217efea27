"""What a worker knows of its cluster: kept up to date by a process that is connected to it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from store.settings import Settings
from worker.processes.environment import cluster_environment

log = logging.getLogger(__name__)
COMMAND = (sys.executable, "-m", "worker.cluster.watch")
RETRY_SECONDS = 10.0
STALE_SECONDS = 30.0
SILENT = (
    "Look whether RETORT_RAY_ADDRESS is the host:port of a cluster's head (port 6379 unless it was started otherwise)."
)


class ClusterView:
    """`hosts`: the devices of each host, most first; () while the cluster is not reached. `changed` is called whenever
    what is known has changed. Without RETORT_RAY_ADDRESS nothing is ever known."""

    def __init__(
        self,
        settings: Settings,
        leaving: threading.Event | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings, self._leaving, self._changed = settings, leaving or threading.Event(), changed
        self._said, self._heard = dict[str, Any](), 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def hosts(self) -> tuple[int, ...]:
        return tuple(self.said.get("hosts", ()))

    @property
    def said(self) -> dict[str, Any]:
        """For the worker's row: {hosts, gpu, cores}, or {problem, remedy}; {} where there is no cluster."""
        address = self._settings.ray_address
        if address and time.monotonic() - self._heard > STALE_SECONDS:
            said = self._said.get("problem") or f"The Ray cluster at {address} does not answer."
            return {"problem": said, "remedy": self._said.get("remedy", SILENT)}
        return self._said

    def run(self) -> None:
        """Until the worker leaves."""
        while self._settings.ray_address and not self._leaving.is_set():
            try:
                self._listen()
            except OSError:
                log.exception("the cluster cannot be watched")
            self._leaving.wait(RETRY_SECONDS)

    def stop(self) -> None:
        """Wakes `run`, once the worker leaves."""
        if self._process is not None:
            self._process.kill()

    def _listen(self) -> None:
        command = [*COMMAND, self._settings.ray_address]
        with subprocess.Popen(
            command, env=cluster_environment(self._settings), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as self._process:  # fmt: skip
            assert self._process.stdout is not None
            if self._leaving.is_set():  # `stop` has looked already
                self._process.kill()
            for line in self._process.stdout:
                with suppress(ValueError):  # a line that a killed process left half written
                    self._take(json.loads(line))

    def _take(self, said: dict[str, Any]) -> None:
        self._heard = time.monotonic()
        if said != self._said:
            self._said = said
            log.info("the cluster at %s: %s", self._settings.ray_address, said)
            self._changed()
