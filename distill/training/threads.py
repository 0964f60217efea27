"""How many threads a run on the CPU uses: the cores that nobody else keeps busy.

Two OpenMP threads on two cores that others use wait for each other at every kernel: a ResNet step took 2.2 s to 4.8 s
with 2 threads where 1 thread took 0.22 s (load 12, 2 cores). So the share of busy cores is looked at before a run.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch

STAT = Path("/proc/stat")
LOOK_SECONDS = 0.4


def settle() -> str:
    """Set this process's threads to the cores that are free now; return the reason.

    `OMP_NUM_THREADS` wins where it is set. Off Linux, or with one thread, nothing is measured or changed.
    """
    given = torch.get_num_threads()
    if "OMP_NUM_THREADS" in os.environ:
        return f"{given}: OMP_NUM_THREADS says so"
    if given == 1 or not STAT.is_file():
        return f"{given}: one for each core"
    busy = busy_cores()
    threads = max(1, min(given, len(os.sched_getaffinity(0)) - round(busy)))
    torch.set_num_threads(threads)
    return f"{threads} of {given}: other programs kept {busy:.1f} cores busy when the run began"


def busy_cores(seconds: float = LOOK_SECONDS) -> float:
    """Cores that were busy while this thread slept for `seconds`."""
    before = _ticks()
    time.sleep(seconds)
    after = _ticks()
    total = sum(after) - sum(before)
    idle = after[3] + after[4] - before[3] - before[4]  # idle and iowait, proc(5)
    return (os.cpu_count() or 1) * max(0.0, 1 - idle / total) if total > 0 else 0.0


def _ticks() -> list[int]:
    """The first line of /proc/stat, guest time left out (user time holds it already)."""
    return [int(word) for word in STAT.read_text().splitlines()[0].split()[1:9]]
