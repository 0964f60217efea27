"""The trainer process: `python -m worker.jobs.trainer FOLDER` runs FOLDER/spec.json and speaks JSON lines.

It has no credentials and knows neither database nor object store. SIGTERM keeps its default action, so it ends at once
(status -15) even inside a long kernel; SIGUSR1 is `stop` and SIGUSR2 `handover`, as the worker says them by pipe.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from distill.control import Control
from distill.errors import OutOfMemoryGpu, OutOfMemoryHost, RetortError
from distill.types import Event, RunSpec
from worker.errors import Internal, disk_full
from worker.processes import lifeline

SPEC, WORK = "spec.json", "run"


def main(arguments: list[str]) -> int:
    """0: done or handed over; 1: a `failed` event was said."""
    say, control = lifeline.speaker(), Control()
    lifeline.hold(control)
    signal.signal(signal.SIGUSR1, lambda *_: lifeline.obey(control, "stop"))
    signal.signal(signal.SIGUSR2, lambda *_: lifeline.obey(control, "handover"))
    try:
        _run(Path(arguments[0]), control, say)
    except Exception as error:
        traceback.print_exc()
        say(Event("failed", explain(error).to_dict()))
        return 1
    return 0


def _run(folder: Path, control: Control, say: Callable[[Event], None]) -> None:
    from distill.run import run  # torch comes with it, after the pipes are held

    spec = RunSpec.model_validate_json((folder / SPEC).read_text())
    (folder / WORK).mkdir(exist_ok=True)
    for event in run(spec, folder / WORK, control):
        say(event)


def explain(error: Exception) -> RetortError:
    """The error as a user should read it."""
    if isinstance(error, RetortError):
        return error
    remedy = "Lower batch_size, quality_memory_bytes or cache_memory_bytes."
    if isinstance(error, MemoryError):
        return OutOfMemoryHost("The run needed more memory than this machine has.", remedy)
    if type(error).__name__ == "OutOfMemoryError":  # torch.cuda's, without importing torch for it
        return OutOfMemoryGpu(f"The GPU ran out of memory: {error}", remedy)
    return disk_full(error) or Internal(
        f"{type(error).__name__}: {error}",
        "This is a defect: the job's log has the traceback.",
        {"type": type(error).__name__},
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
