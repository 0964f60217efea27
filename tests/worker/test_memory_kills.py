"""Where the kernel's count of kills for memory lies: version 1 and 2, in a container and beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker.watching.memory_kills import MemoryKills, counter_path

OLD = "31 25 0:29 {root} {point} rw,relatime shared:9 - cgroup cgroup rw,memory"
NEW = "31 25 0:29 {root} {point} rw,relatime - cgroup2 cgroup2 rw,nsdelegate"


@pytest.mark.parametrize(
    ("group", "root", "below"),
    [
        ("/docker/3f", "/docker/3f", ""),  #: a container that sees its own group alone
        ("/docker/3f/inner", "/docker/3f", "inner"),
        ("/user.slice/4", "/", "user.slice/4"),
        ("/", "/", ""),
    ],
)
def test_the_counter_of_a_group_is_found_below_what_is_mounted(
    tmp_path: Path, group: str, root: str, below: str
) -> None:
    mounts = OLD.format(root=root, point="/sys/fs/cgroup/memory")
    old = counter_path(f"5:memory:{group}\n4:cpu,cpuacct:/elsewhere\n0::/", mounts)
    assert old == Path("/sys/fs/cgroup/memory", below, "memory.oom_control")
    folder = tmp_path / below
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.events").write_text("oom 1\noom_kill 1\n")
    assert counter_path(f"0::{group}", NEW.format(root=root, point=tmp_path)) == folder / "memory.events"


def test_a_group_above_what_is_mounted_has_no_counter() -> None:
    assert counter_path("0::/../other", NEW.format(root="/", point="/sys/fs/cgroup")) is None
    assert counter_path("5:memory:/other", OLD.format(root="/docker/3f", point="/sys/fs/cgroup/memory")) is None


def test_nothing_is_known_of_a_process_that_is_none() -> None:
    assert MemoryKills(0).lately() is None
    assert MemoryKills(os.getpid()).lately() in (False, None)
