"""How an attempt ends: from what the trainer said, or from how it died (`worker.jobs.exits`)."""

from __future__ import annotations

from typing import Any

from distill.errors import RetortError
from store.repositories.leases import Ending
from store.repositories.recording import clean
from worker.errors import Internal, disk_full

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
