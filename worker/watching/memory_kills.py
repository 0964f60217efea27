"""Whether the kernel ended a process for memory: its own count of such kills says so, a signal alone does not.

The count is that of the process's control group: `memory.events` (version 2) or `memory.oom_control` (version 1). Where
the group has none, as the root has none, it is the whole machine's in `/proc/vmstat`.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

LATELY_SECONDS = 120.0
"""How long a kill may lie back that a death is put down to: others of the control group have theirs, too."""
MACHINE = Path("/proc/vmstat")
_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


class MemoryKills:
    """Kills for memory in the control group of the process `pid`, which may move to another. Linux alone counts."""

    def __init__(self, pid: int) -> None:
        self._pid, self._seen, self._rose = pid, 0, float("-inf")
        self._counter: Path | None = None
        self.sample()

    def sample(self) -> None:
        """Look: a rise is told from the look before it on. First where the process was, since one that has ended is in
        no group any more."""
        count = _count(self._counter)
        if count > self._seen:
            self._rose = time.monotonic()
        counter = _counter_of(self._pid) or self._counter
        self._counter, self._seen = counter, count if counter == self._counter else _count(counter)

    def lately(self) -> bool | None:
        """Whether there was one in the last `LATELY_SECONDS`; None where nothing counts them."""
        self.sample()
        if self._counter is None:
            return None
        return time.monotonic() - self._rose < LATELY_SECONDS


def counter_path(groups: str, mounts: str) -> Path | None:
    """The file of the control group, from `/proc/PID/cgroup` and `/proc/PID/mountinfo`; None where it is not mounted
    here, or is above what is."""
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        old = "memory" in controllers.split(",")
        if not old and controllers:
            continue
        name = "memory.oom_control" if old else "memory.events"
        for root, point in _mounted(mounts, "memory" if old else ""):
            below = path.removeprefix(root.rstrip("/"))
            if path.startswith(root) and ".." not in below:
                found = Path(f"{point}/{below}") / name
                if old or found.exists():
                    return found
    return None


def _mounted(mounts: str, controller: str) -> list[tuple[str, str]]:
    """Root and place of each mount of version 1's controller; of version 2 for ""."""
    found = []
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        if (kind == "cgroup" and controller in options.split(",")) if controller else kind == "cgroup2":
            root, point = fields.split()[3:5]
            found.append((root, point))
    return found


def _counter_of(pid: int) -> Path | None:
    try:
        groups, mounts = Path(f"/proc/{pid}/cgroup").read_text(), Path("/proc/self/mountinfo").read_text()
    except OSError:  # gone, or no Linux
        return None
    found = counter_path(groups, mounts)
    return found if found is not None and _text(found) else MACHINE if _text(MACHINE) else None


def _count(counter: Path | None) -> int:
    found = _COUNT.search(_text(counter)) if counter is not None else None
    return int(found[1]) if found else 0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
