"""How an attempt ends: from what the trainer said, or from how it died."""

from __future__ import annotations

import signal
from typing import Any

from distill.errors import KilledForMemory, RetortError
from store.repositories.leases import Ending
from store.repositories.recording import clean
from worker.errors import Internal, TrainerCrashed, disk_full
from worker.processes.signals import name_of

HANDED_OVER = Ending("queued", "handed_over")
CANCELLED = Ending("cancelled", "cancelled")
SUCCEEDED = Ending("succeeded", "succeeded")


class Interrupted(Exception):
    """Somebody wants the attempt to end here."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.outcome)
        self.ending = ending


def failed(error: dict[str, Any], back_off_seconds: float) -> Ending:
    """A user's fault fails the job, and so does one that another attempt would meet again (`retryable` is false: no
    memory for this batch, an input that is lost); any other system's fault queues it again while attempts are left."""
    error = clean(error)
    if error.get("fault") == "user" or not error.get("retryable", True):
        return Ending("failed", "failed", error)
    return Ending("queued", "failed", error, counts=True, back_off_seconds=back_off_seconds)


def explain_break(error: Exception) -> RetortError:
    """What went wrong in the worker itself, in words for the user."""
    if isinstance(error, RetortError):
        return error
    return disk_full(error) or Internal(f"The worker failed: {type(error).__name__}: {error}", "See the worker's log.")


def explain_exit(exit_code: int, peak_memory_bytes: int | None, last_line: str) -> RetortError:
    """A trainer that ended without a word: what its exit code says."""
    number = -exit_code if exit_code < 0 else exit_code - 128  # shells and containers report 128 + signal
    details = {"exit_code": exit_code, "peak_memory_bytes": peak_memory_bytes, "last_line": last_line}
    if number == signal.SIGKILL:
        peak = f" Its peak memory was {peak_memory_bytes / 2**30:.1f} GiB." if peak_memory_bytes else ""
        return KilledForMemory(
            f"The trainer was killed (SIGKILL), most often by the kernel when memory runs out.{peak}",
            "Lower batch_size, quality_memory_bytes or cache_memory_bytes, or give the worker more memory.",
            details,
        )
    how = f"was ended by {name_of(number)}" if exit_code < 0 or exit_code > 128 else f"ended with exit code {exit_code}"
    hint = f" Its last line: {last_line}" if last_line else ""
    return TrainerCrashed(f"The trainer {how} without saying why.{hint}", "See the job's log.", details)
