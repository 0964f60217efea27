"""A group whose processes wait for each other and for nothing else: told by what they do, and not by how long it takes.

torch waits in a collective for as long as another process may work, which is days. Two processes in different
collectives, or one whose message was lost, wait for ever. Each process therefore looks at itself every few seconds. It
stands still where, between two looks:

* its main thread is in the same call of `torch.distributed`, or in the backward pass, which waits there for gradients;
* the process has used less than a hundredth of a core;
* no byte came or went on any of its TCP connections, and none is on its way.

A look counts only where this thread was woken in time, that is while cores were free. When every process has stood
still at `LOOKS` looks that count, at the same time, nothing can move them any more. One that
computes, reads a file, waits for data or for a disk is somewhere else, and so the group waits for it as long as it
takes. What each is at lies in a file, by which the first process hears of all, on other hosts too. Over NCCL, whose
waiting processes compute, nothing is told.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from worker.errors import ProcessesStuck

FOLDER = "standstill"
LOOK_SECONDS = 5.0
LOOKS = 24
IDLE_SHARE = 0.01
LATE_SECONDS = 0.5
"""How late this thread may be woken: later, others keep the cores busy, and who computes nothing may only wait for
one."""
DESCRIPTORS = 4096
_TCP_INFO_BYTES = 148  # up to tcpi_notsent_bytes, Linux 4.6
_WAITING = (f"{os.sep}torch{os.sep}distributed{os.sep}",)
_BACKWARD = "_engine_run_backward"

GiveUp = Callable[[ProcessesStuck], None]


@dataclass(frozen=True, slots=True)
class Look:
    """What the process is at: `call` None where its main thread waits for no other process; `traffic` None where it
    cannot be told or bytes are on their way."""

    call: tuple[int, int] | None
    where: str
    cpu_seconds: float
    at: float
    traffic: tuple[tuple[int, int, int], ...] | None


@contextmanager
def watched(folder: Path, rank: int, processes: int, give_up: GiveUp) -> Iterator[None]:
    """Inside, this process watches itself, and the first one all of them. `folder`: of the attempt, the same for all.
    `give_up`: called from another thread, by the first process."""
    leaving = threading.Event()
    watch = Watch(folder / FOLDER, rank, processes, give_up, leaving)
    thread = threading.Thread(target=watch.run, name="standstill", daemon=True)
    thread.start()
    try:
        yield
    finally:
        leaving.set()
        thread.join()


class Watch:
    def __init__(self, folder: Path, rank: int, processes: int, give_up: GiveUp, leaving: threading.Event) -> None:
        self._folder, self._rank, self._processes = folder, rank, processes
        self._give_up, self._leaving = give_up, leaving
        self._beats = self._still = 0
        self._heard: dict[int, dict[str, Any]] = {}

    def run(self) -> None:
        with suppress(OSError):  # no folder, no verdict
            self._folder.mkdir(parents=True, exist_ok=True)
            before = look()
            while not self._leaving.wait(LOOK_SECONDS):
                now = look()
                still = stood_still(before, now)
                if not still or in_time(before, now):
                    self._note(still, now.where)
                before = now
                if self._rank == 0 and self._still >= LOOKS:
                    self._judge()

    def _note(self, still: bool, where: str) -> None:
        """Leave for the first process how often we stood still; not again that we do not."""
        if not still and not self._still:
            return
        self._still = self._still + 1 if still else 0
        self._beats += 1
        told = {"beats": self._beats, "still": self._still, "where": where}
        part = self._folder / f"{self._rank}.part"
        part.write_text(json.dumps(told))
        part.replace(self._folder / f"{self._rank}.json")

    def _judge(self) -> None:
        """Give up once all stand still, and each has been heard to go on doing so since it was heard first."""
        found = {rank: told for rank in range(self._processes) if (told := self._read(rank)) is not None}
        stuck = len(found) == self._processes and all(each["still"] >= LOOKS for each in found.values())
        if not stuck:
            self._heard = {}
            return
        self._heard = self._heard or found
        if all(_went_on(self._heard[rank], told) for rank, told in found.items()):
            self._give_up(_error({rank: str(told["where"]) for rank, told in found.items()}))

    def _read(self, rank: int) -> dict[str, Any] | None:
        with suppress(OSError, ValueError):
            told: dict[str, Any] = json.loads((self._folder / f"{rank}.json").read_text())
            return told
        return None


def _went_on(before: dict[str, Any], now: dict[str, Any]) -> bool:
    beats = int(now["beats"]) - int(before["beats"])
    return beats > 0 and int(now["still"]) - int(before["still"]) == beats


def stood_still(before: Look, now: Look) -> bool:
    """Whether the process did nothing between two looks but wait for others in one call."""
    seconds = now.at - before.at
    return (
        now.call is not None and now.call == before.call
        and now.traffic is not None and now.traffic == before.traffic
        and now.cpu_seconds - before.cpu_seconds < IDLE_SHARE * seconds
    )  # fmt: skip


def in_time(before: Look, now: Look) -> bool:
    return now.at - before.at < LOOK_SECONDS + LATE_SECONDS


def look() -> Look:
    main = threading.main_thread().ident
    frame = sys._current_frames().get(main) if main is not None else None
    call = (id(frame), frame.f_lasti) if frame is not None and _waits(frame) else None
    moved = traffic()
    others = time.process_time() - time.thread_time()  # what this thread does is no work of the job's
    return Look(call, _named(frame), others, time.monotonic(), moved)


def _waits(frame: FrameType) -> bool:
    code = frame.f_code
    return code.co_name == _BACKWARD or any(part in code.co_filename for part in _WAITING)


def _named(frame: FrameType | None) -> str:
    """The call, and the line that made it: the nearest outside torch."""
    if frame is None:
        return "nowhere"
    call, outer = frame.f_code.co_name, frame
    while outer.f_back is not None and f"{os.sep}torch{os.sep}" in outer.f_code.co_filename:
        outer = outer.f_back
    code = outer.f_code
    place = "/".join(Path(code.co_filename).parts[-3:])
    return f"{call} of {code.co_name} ({place}:{outer.f_lineno})"


def traffic() -> tuple[tuple[int, int, int], ...] | None:
    """Of each TCP connection of this process its descriptor, and the bytes acknowledged and received so far. None where
    some are not acknowledged yet, or it cannot be told."""
    if not sys.platform.startswith("linux"):
        return None
    found = []
    for descriptor in range(3, DESCRIPTORS):
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as held:
                if held.family not in (socket.AF_INET, socket.AF_INET6) or held.type != socket.SOCK_STREAM:
                    continue
                info = held.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        except OSError:
            continue  # closed meanwhile
        if len(info) < _TCP_INFO_BYTES:
            return None
        (unacknowledged,) = struct.unpack_from("I", info, 24)
        acknowledged, received = struct.unpack_from("QQ", info, 120)
        (not_sent,) = struct.unpack_from("I", info, 144)
        if info[0] == _ESTABLISHED and (unacknowledged or not_sent):
            return None
        found.append((descriptor, acknowledged, received))
    return tuple(found)


_ESTABLISHED = 1


def _error(where: dict[int, str]) -> ProcessesStuck:
    seconds = LOOKS * LOOK_SECONDS
    each = "; ".join(f"rank {rank}: {what}" for rank, what in sorted(where.items()))
    return ProcessesStuck(
        f"It waits for the others and they for it: none computed, sent or received anything in {seconds:g} s, and "
        f"nothing is on its way. {each}.",
        "The job goes on from its last checkpoint. If it happens again, send this to who maintains Retort.",
        {"where": {str(rank): what for rank, what in sorted(where.items())}},
    )
