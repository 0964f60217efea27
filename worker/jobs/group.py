"""A job's trainer in several processes: `python -m worker.jobs.group N FOLDER` runs FOLDER/spec.json by N ranks.

This process starts them with torch's elastic launcher on one host and watches them; it trains nothing itself. What the
worker sees is one trainer (`worker.jobs.trainer`): one process group, one pipe of events, on which rank 0 speaks, one
pipe of orders, which reach every rank. The first rank that dies ends the group, without a restart: to go on from the
last checkpoint is the worker's to decide. The isolation is a trainer's, entered before anything is loaded and inherited
by the ranks, with a network namespace of its own in whose loopback they find each other.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import fields
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from distill.types import Event
from worker.isolation.confinement import TEMPORARY
from worker.isolation.required import check, check_group
from worker.jobs import rank
from worker.jobs.exits import explain_exit
from worker.jobs.trainer import explain, shut_in
from worker.processes import lifeline

ACCOUNTS = "ranks"
LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}


def main(arguments: list[str]) -> int:
    """0: done or handed over; 1: a `failed` event was said."""
    processes, folder = int(arguments[0]), Path(arguments[1])
    events = lifeline.events_descriptor()
    say = lifeline.speaker(events)
    isolation = shut_in(folder, group=True)
    group = Group(processes, folder, events)
    lifeline.listen(group.order)
    signal.signal(signal.SIGUSR1, lambda *_: group.order("stop"))
    signal.signal(signal.SIGUSR2, lambda *_: group.order("handover"))
    try:
        check(isolation)
        check_group(isolation)
        error = group.run()
    except Exception as refused:
        traceback.print_exc()
        error = explain(refused).to_dict()
    if error is None:
        return 0
    os.write(events, b"\n")  # a rank may have died in the middle of a line
    say(Event("failed", error))
    if group.left:
        os.killpg(0, signal.SIGKILL)
    return 1


class Group:
    """`processes` ranks of one job. They speak to the descriptor `events`. `left`: whether some may still run."""

    def __init__(self, processes: int, folder: Path, events: int) -> None:
        self._processes, self._folder, self._events, self.left = processes, folder, events, False
        pipes = [Pipe(duplex=False) for _ in range(processes)]
        self._listening: list[Connection] = [far for far, _ in pipes]
        self._orders = [near for _, near in pipes]

    def order(self, order: str) -> None:
        """Pass an order on to every rank that lives."""
        for pipe in self._orders:
            with suppress(BrokenPipeError):
                os.write(pipe.fileno(), order.encode() + b"\n")

    def run(self) -> dict[str, Any] | None:
        """Until all ranks have ended; what the first that failed had to say, None where none failed."""
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.launcher.api import elastic_launch

        os.environ |= LOOPBACK
        events = Connection(os.dup(self._events), readable=False)
        try:
            elastic_launch(self._configuration(), rank.main)(str(self._folder), events, self._listening)
        except ChildFailedError as error:
            number, failure = error.get_first_failure()
            return self._told(number, failure.exitcode)
        except PermissionError:
            # Before Linux 6.12 (Landlock's ABI 6) a trainer may signal its whole group alone: torch's launcher cannot
            # end the ranks that are left one by one.
            traceback.print_exc()
            self.left = True
            return self._told(next(iter(self._gone()), None), 1)
        return None

    def _configuration(self) -> Any:
        from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
        from torch.distributed.launcher.api import LaunchConfig

        # SIGTERM ends a trainer at once: its default action. Before torch 2.8 the launcher handles it all the same.
        known = {field.name for field in fields(LaunchConfig)}
        signals: dict[str, Any] = {"signals_to_handle": "SIGINT"} if "signals_to_handle" in known else {}
        return LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=self._processes,
            run_id=self._folder.parent.name,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="127.0.0.1",
            max_restarts=0,
            monitor_interval=0.1,
            start_method="spawn",
            logs_specs=DefaultLogsSpecs(log_dir=str(self._accounts)),
            **signals,
        )

    @property
    def _accounts(self) -> Path:
        return self._folder / TEMPORARY / ACCOUNTS

    def _gone(self) -> list[int]:
        """Ranks that listen no more."""
        for pipe in self._listening:
            pipe.close()
        poll = select.poll()
        numbers = {pipe.fileno(): number for number, pipe in enumerate(self._orders)}
        for descriptor in numbers:
            poll.register(descriptor, 0)
        return sorted(numbers[descriptor] for descriptor, _ in poll.poll(0))

    def _told(self, number: int | None, exit_code: int) -> dict[str, Any]:
        """The error of the rank that failed first; where it left no account, that of its exit code."""
        who = f"{'One' if number is None else f'Rank {number}'} of the {self._processes} processes"
        told = self._account(number)
        if told is None:
            told = explain_exit(exit_code, None, "", who).to_dict()
        elif told["fault"] != "user":
            told["message"] = f"{who}: {told['message']}"
        return told | {"details": told["details"] | {"rank": number, "processes": self._processes}}

    def _account(self, number: int | None) -> dict[str, Any] | None:
        for path in self._accounts.glob(f"*/attempt_0/{number}/error.json"):
            with suppress(OSError, ValueError, KeyError):
                told: dict[str, Any] = json.loads(path.read_text())["error"]
                return told
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
