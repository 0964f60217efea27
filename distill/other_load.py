"""How busy others kept the machine while something was timed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

STAT = Path("/proc/stat")
QUIET = 0.1
"""Processors that others may take before a time is not the code's alone (our choice)."""


def _busy() -> float | None:
    """Seconds that all processors together have worked since the start; None where the system does not tell."""
    try:
        first = STAT.read_text().split("\n", 1)[0].split()
    except OSError:
        return None
    user, nice, system, _idle, _iowait, *rest = map(int, first[1:])
    return (user + nice + system + sum(rest[:3])) / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    times = os.times()
    return times.user + times.system


@dataclass
class OtherLoad:
    """From its making to `so_far`: processors' time of others, in processors. `busy`, `own`, `clock`: where the seconds
    are read, for tests."""

    busy: Callable[[], float | None] = _busy
    own: Callable[[], float] = _own
    clock: Callable[[], float] = time.monotonic
    _begun: tuple[float | None, float, float] = field(init=False)

    def __post_init__(self) -> None:
        self._begun = self.busy(), self.own(), self.clock()

    def so_far(self) -> float | None:
        """At least 0; None where nobody knows."""
        busy, own, clock = self._begun
        now, seconds = self.busy(), max(1e-3, self.clock() - clock)
        if busy is None or now is None:
            return None
        return max(0.0, (now - busy) - (self.own() - own)) / seconds
