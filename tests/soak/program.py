"""The trainer of an endurance run: what a job's seed asks for. `python -m tests.soak.program FOLDER`.

Most jobs say in no time all that a job says, so that thousands go through the service; some are the product's own run.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tests.worker.programs import Trainer, segfault, success, user_failure

#: What the seeds stand for; every other one is a real run.
KINDS = {0: "tiny", 1: "steady", 2: "refused", 3: "crashes"}
STEPS = 12


def steady(t: Trainer) -> None:
    """Some seconds of steps, each with a metric and a checkpoint; obeys stop and handover, resumes where it was."""
    step = t.resumed_step()
    t.say("phase", phase="distilling")
    while step < STEPS and not t.control.stop:
        time.sleep(0.3)
        step += 1
        t.say("metrics", step=step, epoch=step / STEPS, split="train", values={"loss": 1.0 / step})
        t.checkpoint(step)
        t.mark(f"step {step}")
        if t.control.handover:
            return
    t.artifact("student.safetensors", json.dumps({"steps": step}))
    t.say("done")


def main(folder: str) -> int:
    seed = json.loads((Path(folder) / "spec.json").read_text())["config"]["seed"]
    program = {0: success, 1: steady, 2: user_failure, 3: segfault}.get(seed)
    if program is None:
        from worker.jobs import trainer

        return trainer.main([folder])
    program(Trainer(Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
