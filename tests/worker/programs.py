"""Trainers for the supervisor's tests: real processes that speak the trainer's protocol and misbehave on request.

python -m tests.worker.programs NAME FOLDER
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill.control import Control
from distill.errors import InvalidConfig
from distill.modalities.images.shards.supply import Supply, tally
from distill.types import Event
from worker.processes import lifeline

Say = Callable[..., None]


class Trainer:
    def __init__(self, folder: Path) -> None:
        self.folder, self._say, self.control = folder, lifeline.speaker(), Control()
        self.spec: dict[str, Any] = json.loads((folder / "spec.json").read_text())
        lifeline.hold(self.control)

    def say(self, kind: Any, **data: Any) -> None:
        self._say(Event(kind, data))

    def checkpoint(self, step: int) -> None:
        path = self.folder / f"checkpoint-{step}.pt"
        path.write_text(json.dumps({"step": step}))
        self.say("checkpoint", path=str(path), step=step, epoch=step / 10)

    def artifact(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        self.say("artifact", name=name, path=str(path), media_type="text/plain")

    def resumed_step(self) -> int:
        resume = self.spec["resume_from"]
        return int(json.loads(Path(resume).read_text())["step"]) if resume else 0

    def mark(self, name: str) -> None:
        """Tell the test that this point is reached: a log line it can wait for."""
        self.say("log", level="info", message=name)


def success(t: Trainer) -> None:
    sys.stdout.write("a library prints what it likes: {not json\n")
    t.say("phase", phase="distilling")
    t.say("metrics", step=1, epoch=0.1, split="train", values={"loss": 1.0})
    t.say("progress", fraction=1.0, step=1, total_steps=1, images_per_second=10.0, eta_seconds=0.0)
    t.artifact("student.safetensors", "weights")
    t.artifact("report.json", "{}")
    t.say("result", accuracy=1.0)
    t.say("done")


def crowded(t: Trainer) -> None:
    """Reads three shards, and the first one again once its room was taken, as another job takes it."""
    supply = Supply(Path(t.spec["dataset"]["files"]["supply"]))
    for number in range(3):
        supply.path(number).read_bytes()
    supply.path(0).resolve().unlink()
    supply.path(0).read_bytes()
    t.artifact("report.json", json.dumps(tally(supply.folder)))
    t.say("done")


def floods(t: Trainer) -> None:
    """Never stops talking, and never listens."""
    while True:
        t.say("log", level="info", message="x" * 100_000)


def says_much(t: Trainer) -> None:
    """More than may wait, each word once and in order, and then it is gone before anybody has listened."""
    for number in range(400):
        t.say("metrics", step=number, epoch=0.1, split="train", values={"loss": 1.0}, filling="x" * 100_000)
    success(t)


def steps(t: Trainer) -> None:
    """Ten steps with a checkpoint each; obeys stop and handover. The artifact tells how far it came and from where."""
    start = t.resumed_step()
    t.say("phase", phase="distilling")
    step = start
    while step < 10 and not t.control.stop:
        step += 1
        t.say("metrics", step=step, epoch=step / 10, split="train", values={"loss": 1.0 / step})
        t.checkpoint(step)
        t.mark(f"step {step}")
        while (t.folder.parent.parent / "hold").exists() and step >= 3:
            if t.control.handover:
                return
            if t.control.stop:
                break
            time.sleep(0.02)
        if t.control.handover:
            return
    t.artifact("student.safetensors", json.dumps({"steps": step, "from": start}))
    t.say("done")


def user_failure(t: Trainer) -> None:
    t.say("failed", **InvalidConfig("k is larger than the layers there are", "Lower layers.").to_dict())
    sys.exit(1)


def nothing(t: Trainer) -> None:
    """Ends well without a word."""


def exception(t: Trainer) -> None:
    raise ValueError("the last line tells")


def segfault(t: Trainer) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def exit_137(t: Trainer) -> None:
    os._exit(137)


def killed(t: Trainer) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def segfault_after_done(t: Trainer) -> None:
    success(t)
    os.kill(os.getpid(), signal.SIGSEGV)


def lingers(t: Trainer) -> None:
    """Says `done` and does not go."""
    success(t)
    time.sleep(600)


def stubborn(t: Trainer) -> None:
    """Ignores SIGTERM, with a child in its group and a grandchild that left for a session of its own."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleeper = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", sleeper])
    subprocess.Popen([sys.executable, "-c", sleeper], start_new_session=True)
    t.mark("ready")
    time.sleep(600)


def waits(t: Trainer) -> None:
    t.say("phase", phase="scoring")
    t.mark("ready")
    time.sleep(600)


def deaf(t: Trainer) -> None:
    """Trains, and hears no order."""
    t.say("phase", phase="distilling")
    time.sleep(600)


def hungry(t: Trainer) -> None:
    """100 MiB of its own and 100 MiB in a child."""
    mine = bytearray(os.urandom(1 << 20)) * 100
    code = "import time; x = bytearray(b'x' * (1 << 20)) * 100; time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", code])
    t.mark(f"ready {len(mine)}")
    time.sleep(600)


def crash_once(t: Trainer) -> None:
    """Dies in the first attempt, behind a checkpoint."""
    if t.resumed_step() == 0:
        t.say("metrics", step=1, epoch=0.1, split="train", values={"loss": 1.0})
        t.checkpoint(1)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    t.say("metrics", step=1, epoch=0.1, split="train", values={"loss": 1.0})
    t.artifact("student.safetensors", "weights")
    t.say("done")


def curve(t: Trainer) -> None:
    t.say("phase", phase="scoring")
    frame = {"total_layers": 2, "samples": 4, "classes": 2, "train_size": 4, "seed": 0, "digest": "d" * 64}
    t.say("layers", **frame, reused=bool(t.spec["reuse_curves"]))
    for index in range(2):
        t.say("layer_quality", index=index, name=f"layer{index}", quality=float(index))
    t.artifact("student.safetensors", json.dumps(t.spec["reuse_curves"]))
    t.say("done")


def nonsense(t: Trainer) -> None:
    """Events that cannot be recorded do not stop those that can."""
    t.say("phase")
    t.say("no such kind", a=1)
    os.write(int(os.environ.get("NONE", "1")), b"{not json\n")
    t.say("log", level="info", message="nul \x00 and \ud800")
    t.say("metrics", step=1, epoch=0.0, split="train", values={"loss": float("nan")})
    t.artifact("student.safetensors", "weights")
    t.say("done")


def environment(t: Trainer) -> None:
    t.artifact("student.safetensors", json.dumps(dict(os.environ)))
    t.say("done")


if __name__ == "__main__":
    globals()[sys.argv[1]](Trainer(Path(sys.argv[2])))
