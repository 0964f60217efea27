"""How many times slower this machine is than the one that all limits were chosen on: `python3 tests/slowness.py`.

The figure stretches what tests may take: pytest's limits, waits for something to happen, .ci/run. It measures what
tests do: Python, hashing, and starting processes, on as many cores as the tests use. RETORT_SLOWNESS sets it. Only the
standard library, because .ci/run asks before there is an environment.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

VARIABLE = "RETORT_SLOWNESS"
CORES = 2
#: The work below on the machine of benchmarks/results: 0.3 s of processor time each (measured 2026-11-29), and a third
#: more for starting processes.
REFERENCE_SECONDS = 0.4
NOISE, MOST = 1.25, 50.0  # up to a quarter more is nothing


def slowness() -> float:
    """At least 1, at most 50. Measured once, in half a second: whoever is started from here is told."""
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = f"{measured(goes=1):.1f}"
    return as_factor(os.environ[VARIABLE])


def as_factor(text: str) -> float:
    """Of a setting. Raises `ValueError` for what is no number."""
    return min(max(float(text), 1.0), MOST)


def measured(goes: int = 3) -> float:
    """The best of some goes: a moment in which somebody else computes is not the machine's pace."""
    found = min(_go() for _ in range(goes)) / REFERENCE_SECONDS
    return min(found, MOST) if found > NOISE else 1.0


def within(seconds: float) -> float:
    """So many seconds on the reference machine, here: for `timeout=` of whatever a test starts."""
    return seconds * slowness()


def _go() -> float:
    """Seconds for the same work on each core, in processes of their own."""
    begun = time.monotonic()
    with ThreadPoolExecutor(CORES) as cores:
        list(cores.map(lambda _: subprocess.run([sys.executable, "-S", __file__, "work"], check=True), range(CORES)))
    return time.monotonic() - begun


def _work() -> None:
    block, total = bytes(2**20), 0
    for _ in range(60):
        total += hashlib.sha256(block).digest()[0]
        total += sum(number * number % 7 for number in range(30_000))
    for _ in range(3):
        subprocess.run([sys.executable, "-S", "-c", "import json"], check=True)
    sum(len(path.name) for path in Path(__file__).parent.rglob("*.py"))


if __name__ == "__main__":
    if sys.argv[1:] == ["work"]:
        _work()
    else:
        sys.stdout.write(f"{as_factor(os.environ.get(VARIABLE) or str(measured())):.1f}\n")
