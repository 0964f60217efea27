"""One host's part in a job: an actor of Ray, which holds the processes there as a worker holds a trainer.

Its children are in a session of their own and hang on its pipe of orders: when the actor ends, however that happens,
they end too.
"""

from __future__ import annotations

import queue
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from distill.types import Event
from store.settings import Settings
from worker.jobs.exits import completed
from worker.jobs.group import Meeting
from worker.jobs.memory import MemoryGauge
from worker.processes.environment import child_environment
from worker.processes.process import TrainerProcess

PROBE = "shared-folder"
COMMAND = (sys.executable, "-m", "worker.jobs.group")
LINES_BYTES = 1 << 20  # of events at once
INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


class Host:
    """`processes` ranks, by torch's launcher. Methods are called from afar, several at a time. `command`: starts the
    launcher."""

    def __init__(self, folder: str, address: str, command: Sequence[str] = COMMAND) -> None:
        self._folder, self._address, self._command = Path(folder), address, command
        self._process: TrainerProcess | None = None
        self._gauge = MemoryGauge(0)

    def introduce(self, token: str) -> dict[str, Any]:
        """Who this is, and whether the job's folder is the worker's: it holds the worker's token, and gets one."""
        own = f"{PROBE}-{self._address}-{time.time_ns()}"
        try:
            sees = (self._folder / PROBE).read_text() == token
            (self._folder / own).write_text(token)
        except OSError as error:
            return {"name": socket.gethostname(), "problem": f"{error.strerror}: {error.filename}", "left": own}
        return {"name": socket.gethostname(), "problem": "" if sees else "it has other files there", "left": own}

    def free_port(self) -> int:
        """For the launchers to meet at."""
        with socket.create_server((self._address, 0)) as listener:
            return int(listener.getsockname()[1])

    def start(self, processes: int, meeting: Meeting, threads: int) -> None:
        command = (*self._command, str(processes), *meeting.arguments)
        extra = {"OMP_NUM_THREADS": str(threads)} | dict.fromkeys(INTERFACES, _interface(self._address))
        environment = child_environment(Settings(), {name: value for name, value in extra.items() if value})
        # Several hosts may be one machine's, and each ends but its own.
        mark = f"{self._folder}#{meeting.number}"
        self._process = TrainerProcess(command, self._folder, environment, mark=mark)
        self._gauge = MemoryGauge(self._process.pid)

    def hear(self, seconds: float) -> dict[str, Any]:
        """What was said since, after `seconds` at most; `exit_code` once all has ended and all was said."""
        process = self._running()
        self._gauge.sample()
        ended = process.exited()
        if ended:
            process.end(0)
        events, closed = _taken(process, 0 if ended else seconds)
        exit_code = process.exit_code if ended and closed else None
        told = {"events": [self._told(event) for event in events], "peak_bytes": self._gauge.peak_bytes}
        told |= {"killed_for_memory": self._gauge.kills.lately() if exit_code else None}
        return told | {"exit_code": exit_code, "tail": list(process.tail) if exit_code else []}

    def _told(self, event: Event) -> tuple[str, dict[str, Any]]:
        """An event, and of a failure what is seen on this host alone."""
        if event.kind != "failed":
            return event.kind, event.data
        gauge = self._gauge
        failure = completed(event.data, gauge.peak_bytes or None, gauge.kills.lately(), socket.gethostname())
        return event.kind, failure

    def order(self, order: str) -> None:
        self._running().order(order)

    def end(self) -> None:
        """Nothing of the job runs on this host when it returns."""
        if self._process is not None:
            self._process.end(0)

    def _running(self) -> TrainerProcess:
        assert self._process is not None
        return self._process


def _taken(process: TrainerProcess, seconds: float) -> tuple[list[Event], bool]:
    """Events that are there, waited for if there are none; and whether no more will come."""
    events, size, started = list[Event](), 0, time.monotonic()
    while size < LINES_BYTES:
        try:
            said = process.events.get(0 if events else seconds)
        except queue.Empty:
            return events, False
        if said is None:
            time.sleep(0 if events else max(0, min(seconds, 0.1) - (time.monotonic() - started)))
            return events, True
        events.append(said[0])
        size += said[1]
    return events, False


def _interface(address: str) -> str:
    """The network interface that has the address; "" where none has."""
    for name, found in psutil.net_if_addrs().items():
        if any(each.address == address for each in found):
            return name
    return ""
