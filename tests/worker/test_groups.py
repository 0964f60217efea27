"""Several processes that train one job: one trainer to the worker, whatever becomes of its ranks."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from store.states import Status
from tests.slowness import within
from tests.worker.narrow import Narrow
from tests.worker.support import World, settings_for, wait_until
from worker.errors import TooFewDevices
from worker.jobs.supervisor import Supervisor
from worker.processes.slot import Slot, demanded

TWO = Slot(devices=2, cores=2)


def supervisor(world: World, name: str, signals: str = "") -> Supervisor:
    command = (sys.executable, "-m", "tests.worker.groups", f"{name}{signals and ':'}{signals}")
    return Supervisor(world.settings, world.database, world.objects, world.leaving, ("false",), command)


class Running:
    """An attempt of two ranks in a thread, from its first step on."""

    def __init__(self, world: World, processes: int = 2, name: str = "steps") -> None:
        world.queue(processes=processes)
        self.world, self.ended = world, list[Status | None]()
        boss, lease = supervisor(world, name), world.claim()
        self.thread = threading.Thread(target=lambda: self.ended.append(boss.supervise(lease, TWO)))
        self.thread.start()
        wait_until(lambda: any("step 3" in line for line in world.logs()), 60)

    def ranks(self) -> list[psutil.Process]:
        """In their order, in which they are started."""
        children = psutil.Process(self.world.trainer_pid()).children()
        ranks = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        return sorted(ranks, key=lambda child: child.create_time())

    def end(self) -> Status | None:
        self.thread.join(within(60))
        assert not self.thread.is_alive()
        return self.ended[0]


def test_an_order_ends_all_ranks_and_the_job_succeeds(world: World) -> None:
    running = Running(world, processes=0)  # auto: as many as the slot has devices
    world.ask("stopping")
    assert running.end() == "succeeded"
    assert "heard by 2" in world.logs()
    assert world.artifact() == "weights"
    assert world.nothing_left()


def test_a_rank_that_is_killed_ends_the_group_and_is_named(world: World) -> None:
    running = Running(world)
    ranks = running.ranks()
    resident = sum(rank.memory_info().rss for rank in ranks)
    wait_until(lambda: world.job.attempt == 1 and peak(world) >= resident * 0.9)
    ranks[1].kill()
    assert running.end() == "queued"
    assert failure(world) == ("trainer_crashed", 1)
    details = (world.attempts[-1].error or {})["details"]
    assert details["peak_memory_bytes"] >= resident * 0.9
    assert (details["signal"], details["killed_for_memory"]) == ("SIGKILL", False)
    assert not any(rank.is_running() for rank in ranks)
    assert world.nothing_left()


def test_a_rank_that_the_kernel_ends_for_memory_is_told_from_one_that_somebody_kills(
    world: World, narrow: Narrow
) -> None:
    narrow.enter()
    running = Running(world, name="grows")
    narrow.leave()  # the ranks stay
    narrow.limit()
    (world.settings.scratch / world.job_id / "1" / "grow").touch()
    assert running.end() == "queued"
    assert failure(world) == ("oom_host", 1)
    details = (world.attempts[-1].error or {})["details"]
    assert (details["signal"], details["killed_for_memory"]) == ("SIGKILL", True)
    assert world.nothing_left()


def test_ranks_that_wait_for_each_other_alone_end_the_attempt_and_say_where(world: World) -> None:
    world.queue(processes=2)
    assert supervisor(world, "parts").supervise(world.claim(), TWO) == "queued"
    assert failure(world) == ("processes_stuck", 0)
    where = (world.attempts[-1].error or {})["details"]["where"]
    assert ("broadcast" in where["0"], "all_reduce" in where["1"], "groups.py" in where["0"]) == (True, True, True)
    assert world.nothing_left()


@pytest.mark.slow
def test_a_rank_that_is_anywhere_else_is_waited_for(world: World) -> None:
    world.queue(processes=2)
    assert supervisor(world, "reads").supervise(world.claim(), TWO) == "succeeded"


@pytest.mark.slow
@pytest.mark.parametrize("signals", ["", "no_signals"])
def test_a_rank_that_fails_is_named_though_its_neighbour_fails_with_it(world: World, signals: str) -> None:
    """Also where the kernel refuses the launcher to end single ranks."""
    world.queue(processes=2)
    assert supervisor(world, "exits", signals).supervise(world.claim(), TWO) == "queued"
    assert failure(world) == ("trainer_crashed", 1)
    assert world.nothing_left()


@pytest.mark.slow
def test_a_users_fault_in_one_rank_fails_the_job_with_its_own_words(world: World) -> None:
    world.queue(processes=2)
    assert supervisor(world, "refuses").supervise(world.claim(), TWO) == "failed"
    assert failure(world) == ("invalid_config", 1)
    assert world.job.error is not None
    assert world.job.error["message"] == "k is larger than the layers there are"
    assert world.nothing_left()


def peak(world: World) -> int:
    return world.attempts[-1].peak_memory_bytes or 0


def failure(world: World) -> tuple[str, int]:
    """The code of the last attempt's error, and whose it is."""
    error: dict[str, Any] = world.attempts[-1].error or {}
    assert error["details"]["processes"] == 2, error
    return error["code"], error["details"]["rank"]


@pytest.mark.parametrize(("asked", "threads"), [(1, "2"), (2, "1"), (4, "1")])
def test_the_ranks_of_a_slot_share_its_cores_and_have_a_gpu_each(asked: int, threads: str) -> None:
    slot = Slot(devices=4, gpus=("a", "b", "c", "d"), cores=2, alone=False)
    assert slot.environment(slot.processes(asked, 64)) == {
        "CUDA_VISIBLE_DEVICES": ",".join("abcd"[:asked]), "OMP_NUM_THREADS": threads,
    }  # fmt: skip
    assert [slot.processes(0, batch_size) for batch_size in (64, 6, 7)] == [4, 3, 1]


def test_a_slot_that_would_own_a_gpu_twice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    demanded(settings_for(tmp_path, devices_per_slot=2))
    with pytest.raises(TooFewDevices):
        demanded(settings_for(tmp_path, devices_per_slot=3))
