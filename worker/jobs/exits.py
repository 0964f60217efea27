"""What the exit code of a process that ended without a word says. Trainers import it, and so nothing of the store."""

from __future__ import annotations

import signal

from distill.errors import KilledForMemory, RetortError
from worker.errors import TrainerCrashed
from worker.processes.signals import name_of

SMALLER_BATCHES = "Lower batch_size, quality_memory_bytes or cache_memory_bytes, or give the worker more memory."
MORE_MEMORY = "Give the worker more memory, then try again."


def explain_exit(
    exit_code: int, peak_memory_bytes: int | None, last_line: str, who: str = "The trainer",
    relief: str = SMALLER_BATCHES,
) -> RetortError:  # fmt: skip
    """`who`: the subject of the sentence. `relief`: what makes it need less memory or gives it more."""
    number = -exit_code if exit_code < 0 else exit_code - 128  # shells and containers report 128 + signal
    details = {"exit_code": exit_code, "peak_memory_bytes": peak_memory_bytes, "last_line": last_line}
    if number == signal.SIGKILL:
        peak = f" Its peak memory was {peak_memory_bytes / 2**30:.1f} GiB." if peak_memory_bytes else ""
        return KilledForMemory(
            f"{who} was killed (SIGKILL), most often by the kernel when memory runs out.{peak}",
            relief,
            details,
        )
    how = f"was ended by {name_of(number)}" if exit_code < 0 or exit_code > 128 else f"ended with exit code {exit_code}"
    hint = f" Its last line: {last_line}" if last_line else ""
    return TrainerCrashed(f"{who} {how} without saying why.{hint}", "See the job's log.", details)
