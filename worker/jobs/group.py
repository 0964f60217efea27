"""A job's trainer in several processes: `python -m worker.jobs.group N FOLDER` runs FOLDER/spec.json by N ranks.

Where the job is on several hosts each of them has such a launcher (`worker.cluster.host`), told by `Meeting.arguments`
where it meets the others.

This process starts them with torch's elastic launcher on one host and watches them; it trains nothing itself. What the
worker sees is one trainer (`worker.jobs.trainer`): one process group, one pipe of events, on which rank 0 speaks, one
pipe of orders, which reach every rank. The first rank that dies ends the group, without a restart: to go on from the
last checkpoint is the worker's to decide. The isolation is a trainer's, entered before anything is loaded and inherited
by the ranks, with a network namespace of its own in whose loopback they find each other; on several hosts they have the
machine's network.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass, fields
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from distill.types import Event
from worker.isolation.confinement import TEMPORARY
from worker.isolation.required import check, check_group
from worker.jobs import rank
from worker.jobs.exits import explain_rank, rank_name
from worker.jobs.trainer import explain, shut_in
from worker.processes import lifeline

ACCOUNTS = "ranks"
MEETING_SECONDS = 300
LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}


@dataclass(frozen=True, slots=True)
class Meeting:
    """Where the launchers of one job meet. `number`: this host's among `hosts`, from 0; `endpoint`: host 0's address
    and a free port of it, the latter 0 where this host is the only one; `address`: this host's."""

    number: int = 0
    hosts: int = 1
    endpoint: str = "localhost:0"
    address: str = "127.0.0.1"

    @property
    def arguments(self) -> tuple[str, ...]:
        return (str(self.number), str(self.hosts), self.endpoint, self.address)

    @classmethod
    def read(cls, arguments: list[str]) -> Meeting:
        if not arguments:
            return cls()
        number, hosts, endpoint, address = arguments
        return cls(int(number), int(hosts), endpoint, address)


def main(arguments: list[str]) -> int:
    """0: done or handed over; 1: a `failed` event was said. `arguments`: N, where the hosts meet if they are several,
    and the folder."""
    processes, meeting, folder = int(arguments[0]), Meeting.read(arguments[1:-1]), Path(arguments[-1])
    events = lifeline.events_descriptor()
    say = lifeline.speaker(events)
    isolation = shut_in(folder, group=True, network=meeting.hosts > 1)
    group = Group(processes, folder, events, meeting)
    lifeline.listen(group.order)
    signal.signal(signal.SIGUSR1, lambda *_: group.order("stop"))
    signal.signal(signal.SIGUSR2, lambda *_: group.order("handover"))
    try:
        check(isolation)
        if meeting.hosts == 1:
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
    """`processes` ranks of one job, on this host. They speak to the descriptor `events`. `left`: whether some may still
    run."""

    def __init__(self, processes: int, folder: Path, events: int, meeting: Meeting) -> None:
        self._processes, self._folder, self._events, self.left = processes, folder, events, False
        self._meeting = meeting
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

        os.environ |= LOOPBACK if self._meeting.hosts == 1 else {}
        events = Connection(os.dup(self._events), readable=False)
        try:
            elastic_launch(self._configuration(), rank.main)(str(self._folder), events, self._listening)
        except ChildFailedError as error:
            _, failure = error.get_first_failure()
            return self._told(failure.local_rank, failure.exitcode)
        except PermissionError:
            # Before Linux 6.12 (Landlock's ABI 6) a trainer may signal its whole group alone: torch's launcher cannot
            # end the ranks that are left one by one.
            traceback.print_exc()
            self.left = True
            return self._told(next(iter(self._gone()), None), None)
        return None

    def _configuration(self) -> Any:
        from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
        from torch.distributed.launcher.api import LaunchConfig

        # SIGTERM ends a trainer at once: its default action. Before torch 2.8 the launcher handles it all the same.
        known = {field.name for field in fields(LaunchConfig)}
        signals: dict[str, Any] = {"signals_to_handle": "SIGINT"} if "signals_to_handle" in known else {}
        return LaunchConfig(
            min_nodes=self._meeting.hosts,
            max_nodes=self._meeting.hosts,
            nproc_per_node=self._processes,
            run_id=self._folder.parent.name,
            rdzv_endpoint=self._meeting.endpoint,
            local_addr=self._meeting.address,
            max_restarts=0,
            monitor_interval=0.1,
            start_method="spawn",
            logs_specs=DefaultLogsSpecs(log_dir=str(self._accounts)),
            **self._rendezvous(),
            **signals,
        )

    def _rendezvous(self) -> dict[str, Any]:
        """On several hosts each is told its number: ranks of one host are neighbours, and rank 0 is on host 0."""
        if self._meeting.hosts == 1:
            return {"rdzv_backend": "c10d"}
        return {"rdzv_backend": "static", "rdzv_configs": {"rank": self._meeting.number, "timeout": MEETING_SECONDS}}

    @property
    def _accounts(self) -> Path:
        return self._folder / TEMPORARY / f"{ACCOUNTS}-{self._meeting.number}"

    def _gone(self) -> list[int]:
        """Ranks that listen no more."""
        for pipe in self._listening:
            pipe.close()
        poll = select.poll()
        numbers = {pipe.fileno(): number for number, pipe in enumerate(self._orders)}
        for descriptor in numbers:
            poll.register(descriptor, 0)
        return sorted(numbers[descriptor] for descriptor, _ in poll.poll(0))

    def _told(self, local: int | None, exit_code: int | None) -> dict[str, Any]:
        """The error of the rank that failed first, by its number on this host; where it left no account, that of its
        exit code."""
        every = self._processes * self._meeting.hosts
        number = None if local is None else self._meeting.number * self._processes + local
        told = self._account(local)
        if told is None:
            return explain_rank(exit_code, number, every)
        if told["fault"] != "user":
            told["message"] = f"{rank_name(number, every)}: {told['message']}"
        return told | {"details": told["details"] | {"rank": number, "processes": every}}

    def _account(self, local: int | None) -> dict[str, Any] | None:
        for path in self._accounts.glob(f"*/attempt_0/{local}/error.json"):
            with suppress(OSError, ValueError, KeyError):
                told: dict[str, Any] = json.loads(path.read_text())["error"]
                return told
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
