"""Resident memory of processes that are spared, and how it changes: a line by least squares."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np
import psutil

SAMPLE_SECONDS = 2.0
WARM_UP_SHARE = 0.25  # imports, pools and caches fill: what comes behind must be flat
MIB = 2**20


@dataclass(frozen=True)
class Trend:
    """Over the samples behind the warm-up; `drift_mib`: the line's last value minus its first."""

    name: str
    first_mib: float
    last_mib: float
    peak_mib: float
    slope_mib_per_hour: float
    drift_mib: float


class Sampler(threading.Thread):
    """`pids`: name -> process."""

    def __init__(self, pids: dict[str, int]) -> None:
        super().__init__(daemon=True, name="memory")
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self.samples: dict[str, list[tuple[float, float]]] = {name: [] for name in pids}
        self._ended = threading.Event()

    def run(self) -> None:
        started = time.monotonic()
        while not self._ended.wait(SAMPLE_SECONDS):
            for name, process in self._processes.items():
                self.samples[name].append((time.monotonic() - started, process.memory_info().rss / MIB))

    def end(self) -> list[Trend]:
        self._ended.set()
        self.join(10)
        return [trend(name, samples) for name, samples in self.samples.items()]


def trend(name: str, samples: list[tuple[float, float]]) -> Trend:
    """Needs a handful of samples (s, MiB)."""
    seconds, mib = np.array(samples[int(len(samples) * WARM_UP_SHARE) :]).T
    slope, _ = np.polyfit(seconds, mib, 1)
    drift = slope * (seconds[-1] - seconds[0])
    return Trend(name, float(mib[0]), float(mib[-1]), float(mib.max()), float(slope * 3600), float(drift))
