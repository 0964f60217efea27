"""Groups for the supervisor's tests: the product's launcher, whose ranks do a program of ours instead of a run.

python -m tests.worker.groups NAME N FOLDER
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist

from distill.control import Control
from distill.errors import InvalidConfig
from distill.training import distributed
from distill.types import Event
from worker.isolation.plan import Isolation
from worker.jobs import group, rank, standstill

Say = Callable[[Event], None]
CPU = torch.device("cpu")


def steps(folder: Path, control: Control, say: Say) -> None:
    """Steps that every rank takes part in, until an order reaches all of them; then the ranks that heard it say so."""
    step = 0
    while True:
        stop, handover = distributed.any_of([control.stop, control.handover], CPU)
        if stop or handover:
            break
        step += 1
        say(Event("log", {"level": "info", "message": f"step {step}"}))
        time.sleep(0.05)
    (folder / "run").mkdir(exist_ok=True)
    heard = distributed.total(torch.tensor([float(control.stop or control.handover)]))
    say(Event("log", {"level": "info", "message": f"heard by {heard.item():g}"}))
    if stop:
        path = folder / "run" / "student.safetensors"
        path.write_text("weights")
        say(Event("artifact", {"name": path.name, "path": str(path), "media_type": "text/plain"}))
        say(Event("done", {}))


def grows(folder: Path, control: Control, say: Say) -> None:
    """Steps, until a file says that one rank shall take memory without end."""
    step = 0
    while True:
        distributed.any_of([False], CPU)
        step += 1
        say(Event("log", {"level": "info", "message": f"step {step}"}))
        time.sleep(0.05)
        taken = list[bytes]()
        while distributed.rank() == 1 and (folder / "grow").exists():
            taken.append(b"x" * 2**20)


def parts(folder: Path, control: Control, say: Say) -> None:
    """The ranks come to different collectives, which neither ever ends."""
    distributed.total(torch.zeros(1))
    if distributed.rank() == 1:
        distributed.total(torch.zeros(1))
    else:
        dist.broadcast(torch.zeros(1), src=1)


def reads(folder: Path, control: Control, say: Say) -> None:
    """One rank waits for something else, the other for it; then both go on. The file says how often it was seen to
    stand still meanwhile."""
    if distributed.rank() == 1:
        until_still = folder / "tmp" / standstill.FOLDER / "0.json"
        while not until_still.exists() or json.loads(until_still.read_text())["still"] < 2 * standstill.LOOKS:
            time.sleep(0.1)
    distributed.total(torch.zeros(1))
    say(Event("done", {}))


def refuses(folder: Path, control: Control, say: Say) -> None:
    """One rank finds the input wrong while the other waits for it."""
    if distributed.rank() == 1:
        raise InvalidConfig("k is larger than the layers there are", "Lower layers.")
    distributed.total(torch.zeros(1))


def breaks(folder: Path, control: Control, say: Say) -> None:
    """A defect in one rank; the other one's collective fails with it."""
    if distributed.rank() == 1:
        distributed.total(torch.zeros(1))
        raise ValueError("the shapes do not fit")
    distributed.total(torch.zeros(1))
    distributed.total(torch.zeros(1))


def exits(folder: Path, control: Control, say: Say) -> None:
    """One rank ends without a word, in the middle of a line of the other."""
    if distributed.rank() == 1:
        distributed.total(torch.zeros(1))
        os._exit(3)
    distributed.total(torch.zeros(1))
    distributed.total(torch.zeros(1))


def _refused(pid: int, number: int) -> None:
    raise PermissionError("as seccomp answers before Linux 6.12")


# Ranks are spawned, and come by here too.
name, _, signals = sys.argv[1].partition(":")
rank.work = globals()[name]  # type: ignore[attr-defined]
standstill.LOOK_SECONDS, standstill.LOOKS = 0.5, 3
if signals == "no_signals":
    os.kill = _refused
group.shut_in = lambda folder, **_: Isolation()  # type: ignore[attr-defined]

if __name__ == "__main__":
    sys.exit(group.main(sys.argv[2:]))
