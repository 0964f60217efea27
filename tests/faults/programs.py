"""Trainers that end badly, each as its kind really does. `python -m tests.faults.programs NAME FOLDER`."""

from __future__ import annotations

import ctypes
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from tests.worker.programs import Trainer, success

IGNORE = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "


def tiny(t: Trainer) -> None:
    """All that a job must say, in no time."""
    success(t)


def trial(t: Trainer) -> None:
    """A study's trial in half a second: three validations, and a result that hangs on its learning rate and seed."""
    config = t.spec["config"]
    rate = 0.001 if config["learning_rate"] == "auto" else config["learning_rate"]
    accuracy = 0.9 - 0.05 * abs(math.log10(rate / 0.03)) + 0.001 * (config["seed"] % 3)
    t.say("phase", phase="distilling")
    for epoch in (1, 2, 3):
        value = accuracy - 0.1 / epoch
        t.say("metrics", step=epoch, epoch=float(epoch), split="validation", values={"accuracy": value, "loss": 1.0})
        until = time.monotonic() + 0.15
        while time.monotonic() < until:
            if t.control.handover:
                return
            time.sleep(0.01)
    t.artifact("student.safetensors", "weights")
    student = {"accuracy": {"value": accuracy}, "parameters": 10, "bytes": 40, "flops": 20}
    metrics = [{"name": "accuracy", "path": "accuracy"}]
    t.say("result", student=student, metrics=metrics, training={"validation": accuracy, "seconds": 0.5})
    t.say("done")


def segfault(t: Trainer) -> None:
    """A real one: a read at address 0."""
    print("about to read where nothing is", flush=True)
    ctypes.string_at(0)


def exit_137(t: Trainer) -> None:
    """As a container's runtime reports a kill by the kernel."""
    print("the kernel ends me", flush=True)
    os._exit(137)


def memory_error(t: Trainer) -> None:
    """A real one, in the middle of the product's own run."""

    def prepare(*_: Any) -> NoReturn:
        print("asking for more than there is", flush=True)
        bytearray(1 << 62)
        raise AssertionError

    _run_with(t, prepare)


def cuda_oom(t: Trainer) -> None:
    """What torch raises when the device is full, in the middle of the product's own run."""

    def prepare(*_: Any) -> NoReturn:
        import torch

        print("the GPU is full", flush=True)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 79 GiB in all.")

    _run_with(t, prepare)


def _run_with(t: Trainer, prepare: Any) -> None:
    """The product's trainer, with another first step."""
    import distill.run
    from distill.control import Control
    from worker.jobs import trainer

    distill.run.Session.open = prepare  # type: ignore[assignment]
    try:
        trainer.work(t.folder, Control(), lambda event: t.say(event.kind, **event.data))
    except Exception as error:
        t.say("failed", **trainer.explain(error).to_dict())
        sys.exit(1)


def family(t: Trainer) -> None:
    """Ignores SIGTERM, and so do its child, its grandchild, one that left for a session of its own, and one that
    forgot its environment too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleep, child = IGNORE + "time.sleep(600)", [sys.executable, "-c"]
    nested = f"import subprocess, sys; {IGNORE} subprocess.run([sys.executable, '-c', {sleep!r}])"
    subprocess.Popen([*child, sleep])
    subprocess.Popen([*child, nested])
    subprocess.Popen([*child, sleep], start_new_session=True)
    subprocess.Popen([*child, sleep], start_new_session=True, env={})
    t.say("phase", phase="distilling")
    time.sleep(1)
    t.mark("ready")
    time.sleep(600)


def slowly(t: Trainer) -> None:
    """Walks through the phases, half a second each, with the student at the end."""
    for phase in ("scoring", "distilling", "evaluating", "packaging"):
        t.say("phase", phase=phase)
        until = time.monotonic() + 0.5
        while time.monotonic() < until and not t.control.stop:
            if t.control.handover:
                return
            time.sleep(0.01)
    t.artifact("student.safetensors", "weights")
    t.say("done")


if __name__ == "__main__":
    globals()[sys.argv[1]](Trainer(Path(sys.argv[2])))
