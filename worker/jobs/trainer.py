"""The trainer process: `python -m worker.jobs.trainer FOLDER` runs FOLDER/spec.json and speaks JSON lines.

It has no credentials and knows neither database nor object store, and before it loads anything it gives up all of the
machine but its job's files (`worker.isolation.confinement`). SIGTERM keeps its default action, so it ends at once
(status -15) even inside a long kernel; SIGUSR1 is `stop` and SIGUSR2 `handover`, as the worker says them by pipe.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from distill.control import Control
from distill.errors import OutOfMemoryGpu, OutOfMemoryHost, RetortError
from distill.modalities.images.shards import supply
from distill.modalities.images.shards.supply import SUPPLY
from distill.types import Event, RunSpec
from worker.errors import Internal, disk_full
from worker.isolation.confinement import confine, of_job, written
from worker.isolation.plan import Isolation
from worker.isolation.required import NAMED_SETS, check
from worker.processes import lifeline

SPEC, WORK, INPUTS = "spec.json", "run", "inputs"
WRITABLE = written((WORK, INPUTS))


def main(arguments: list[str]) -> int:
    """0: done or handed over; 1: a `failed` event was said."""
    folder, say, control = Path(arguments[0]), lifeline.speaker(), Control()
    isolation = shut_in(folder)
    lifeline.hold(control)  # a thread: what comes before holds it as well
    signal.signal(signal.SIGUSR1, lambda *_: lifeline.obey(control, "stop"))
    signal.signal(signal.SIGUSR2, lambda *_: lifeline.obey(control, "handover"))
    try:
        check(isolation)
        work(folder, control, say)
    except Exception as error:
        traceback.print_exc()
        say(Event("failed", explain(error).to_dict()))
        return 1
    return 0


def shut_in(folder: Path, group: bool = False, network: bool = False) -> Isolation:
    """Give up all but the job's folder and, for a named dataset, the folders of such sets; for one of shards those that
    the job knows by name. `group`: several processes train, and keep a loopback of their own, or on several hosts the
    machine's `network`."""
    spec = json.loads((folder / SPEC).read_text())
    sets = os.environ.get(NAMED_SETS, "").split(os.pathsep) if spec["dataset"]["kind"] == "named" else []
    supplies = [each["files"].get(SUPPLY) for each in (spec["dataset"], spec.get("probe")) if each]
    kept = tuple(Path(supply.facts(Path(given))["kept"]) for given in supplies if given)
    wanted = of_job(folder, (WORK, INPUTS), sets)
    isolation = confine(replace(wanted, group=group, network=network, by_name=kept))
    sys.stderr.write(f"held by {isolation.summary()}\n")
    return isolation


def work(folder: Path, control: Control, say: Callable[[Event], None]) -> None:
    """Run the job of the folder, of one process or of a group that this one has joined."""
    from distill.run import run  # torch comes with it, after the pipes are held

    spec = RunSpec.model_validate_json((folder / SPEC).read_text())
    for event in run(spec, folder / WORK, control):
        say(event)


def explain(error: Exception) -> RetortError:
    """The error as a user should read it."""
    if isinstance(error, RetortError):
        return error
    remedy = "Lower batch_size, quality_memory_bytes or cache_memory_bytes."
    if out_of_memory(error):
        return OutOfMemoryHost("The run needed more memory than this machine has.", remedy)
    if type(error).__name__ == "OutOfMemoryError":  # torch.cuda's, without importing torch for it
        return OutOfMemoryGpu(f"The GPU ran out of memory: {error}", remedy)
    return disk_full(error) or Internal(
        f"{type(error).__name__}: {error}",
        "This is a defect: the job's log has the traceback.",
        {"type": type(error).__name__},
    )


def out_of_memory(error: Exception) -> bool:
    """Whether the machine's memory, or what a process may have of it, did not suffice: torch's allocator for the CPU
    raises a plain RuntimeError."""
    return isinstance(error, MemoryError) or "DefaultCPUAllocator: can't allocate memory" in str(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
