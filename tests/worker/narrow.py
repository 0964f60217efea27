"""A control group with little memory, where this machine lets us make one."""

from __future__ import annotations

import os
from pathlib import Path

from worker.watching.memory_kills import counter_path

ROOM_BYTES = 2**26
FILES = (("memory.limit_in_bytes", "memory.usage_in_bytes"), ("memory.max", "memory.current"))


class Narrow:
    """A group below our own. What is started inside stays when we leave."""

    def __init__(self) -> None:
        counter = counter_path(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text())
        if counter is None:
            raise OSError("no control group of memory")
        self._home = counter.parent
        self._group = self._home / f"retort-test-{os.getpid()}"
        self._group.mkdir()
        found = [(self._group / limit, self._group / used) for limit, used in FILES if (self._group / limit).exists()]
        if not found:
            self._group.rmdir()
            raise OSError("its memory cannot be limited")
        self._limit, self._used = found[0]

    def enter(self) -> None:
        (self._group / "cgroup.procs").write_text(str(os.getpid()))

    def leave(self) -> None:
        (self._home / "cgroup.procs").write_text(str(os.getpid()))

    def limit(self) -> None:
        """From now on there is room for `ROOM_BYTES` more."""
        self._limit.write_text(str(int(self._used.read_text()) + ROOM_BYTES))

    def close(self) -> None:
        self.leave()
        self._group.rmdir()
