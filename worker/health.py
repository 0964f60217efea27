"""`python -m worker.health`: exit status 0 while this container's worker lives, for health checks.

A worker touches RETORT_ALIVE_FILE every time its housekeeping goes round (15 s), also while database, store or Redis
are away: that is no reason to restart it. Only the standard library, so that asking costs a few milliseconds.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

STALE_SECONDS = 120.0


def complaint(name: str, now: float) -> str | None:
    """What is wrong, or None. `now` in seconds since the epoch, as the file's modification time."""
    if not name:
        return "RETORT_ALIVE_FILE is not set"
    try:
        age = now - Path(name).stat().st_mtime
    except OSError as error:
        return f"{name}: {error.strerror}"
    return f"the worker has not moved for {age:.0f} s" if age > STALE_SECONDS else None


if __name__ == "__main__":
    sys.exit(complaint(os.environ.get("RETORT_ALIVE_FILE", ""), time.time()))
