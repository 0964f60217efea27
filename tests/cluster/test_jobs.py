"""Jobs on two hosts of a Ray cluster, and what is lost or asked for meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.nodes import Nodes
from tests.cluster.world import ClusterWorld
from tests.faults import processes
from tests.integration.stack import ROOT
from tests.waiting import until
from tests.worker.support import settings_for
from worker.cluster.view import ClusterView

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(3600)]


def test_a_lost_node_costs_an_attempt_and_the_job_goes_on_from_its_checkpoint(world: ClusterWorld) -> None:
    world.submit()
    result = world.start()
    ranks = world.trains()
    assert len(ranks) == 2
    step = world.checkpoints()[0].step
    world.nodes.lose("second")
    assert world.ended(result) == "queued"
    assert world.errors() == [("host_lost", None)]
    assert not any(processes.alive(each.pid) for each in ranks)
    world.nodes.join("second")
    assert world.ended(world.start()) == "succeeded"
    job = world.job
    assert (job.result or {})["training"]["steps"] == 40 * 3
    assert job.resolved is not None
    assert step > 0
    assert world.nothing_left()


def test_kill_9_a_rank_and_the_driver(world: ClusterWorld) -> None:
    world.submit()
    result = world.start()
    ranks = world.trains()
    ranks[1].kill()
    assert world.ended(result) == "queued"
    result = world.start()
    ranks += world.trains(2)
    world.driver(2).kill()
    assert world.ended(result) == "queued"
    assert world.errors() == [("trainer_crashed", 1), ("trainer_crashed", None)]
    assert not any(processes.alive(each.pid) for each in ranks)
    assert world.attempts[0].peak_memory_bytes
    assert world.nothing_left()


def test_a_cancelled_job_leaves_no_actor(world: ClusterWorld) -> None:
    world.submit(epochs=10_000)
    result = world.start()
    ranks = world.trains()
    world.ask("cancelling")
    assert world.ended(result) == "cancelled"
    assert not any(processes.alive(each.pid) for each in ranks)
    assert world.nothing_left()


def test_pause_and_stop_reach_every_host(world: ClusterWorld) -> None:
    world.submit(epochs=10_000)
    result = world.start()
    world.trains()
    world.ask("pausing")
    assert world.ended(result) == "paused"
    assert world.nothing_left()
    world.ask("queued")
    result = world.start()
    world.trains(2)
    world.ask("stopping")
    assert world.ended(result) == "succeeded"
    assert [attempt.outcome for attempt in world.attempts] == ["handed_over", "succeeded"]
    assert world.nothing_left()


def test_kill_9_the_worker_ends_every_host(world: ClusterWorld, sqlite_url: str, tmp_path: Path) -> None:
    world.submit(epochs=10_000)
    command = ["-m", "tests.cluster.lone", tmp_path, sqlite_url, tmp_path / "objects", world.nodes.address]
    with subprocess.Popen([sys.executable, *map(str, command), world.job_id], cwd=ROOT) as worker:
        try:
            assert len(world.trains()) == 2
        finally:
            worker.kill()
    until(lambda: not processes.naming(world.job_id), 60, lambda: processes.naming(world.job_id), pause=0.5)
    assert world.all_free()


HOLD = """
import ray, sys
from ray.util import placement_group
ray.init(sys.argv[1], log_to_driver=False, configure_logging=False)
ray.get(placement_group([{"CPU": 1}]).ready())
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def taken(nodes: Nodes) -> Iterator[None]:
    """Somebody else has a place of the two."""
    command = [sys.executable, "-c", HOLD, nodes.address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/") as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield
        other.kill()


def test_a_job_that_waits_for_its_places_is_paused_and_cancelled(world: ClusterWorld, taken: None) -> None:
    world.submit()
    for number, (asked, ends) in enumerate([("pausing", "paused"), ("cancelling", "cancelled")], 1):
        result = world.start()
        until(lambda n=number: world.waits_for_places() == n, 120, world.logs, pause=0.5)
        world.ask(asked)
        assert world.ended(result) == ends
        assert not processes.naming(world.job_id)
        if ends == "paused":
            world.ask("queued")
    assert not world.checkpoints()


SHARE = """
import sys, time
from pathlib import Path
from worker.cluster.connection import connected
from worker.cluster.team import Team
from distill.types import Event
with connected(sys.argv[1]) as ray:
    free = []
    def becomes(held):  # the cluster's books are a moment behind
        while (ray.available_resources().get("GPU", 0) < 3) != held:
            time.sleep(0.2)
        return ray.available_resources()["GPU"]
    def say(event):
        free.append(becomes(True))
    launcher = [sys.executable, "-m", "tests.cluster.place"]
    failure = Team(ray, 1, 2, Path(sys.argv[2]), say, launcher).run()
    print(failure, free[0], becomes(False))
"""


@pytest.fixture
def with_gpus(nodes: Nodes) -> Iterator[None]:
    """The second node says that it has three GPUs."""
    nodes.lose("second")
    nodes.join("second", gpus=3)
    yield
    nodes.lose("second")
    nodes.join("second")


def test_a_place_has_a_gpu_for_each_of_its_processes(nodes: Nodes, with_gpus: None, tmp_path: Path) -> None:
    folder = tmp_path / "wrk_1" / "job_1" / "1"
    folder.mkdir(parents=True)
    asked = [sys.executable, "-c", SHARE, nodes.address, str(folder)]
    told = subprocess.run(asked, capture_output=True, text=True, cwd=ROOT, check=False)
    assert told.stdout == "None 1.0 3.0\n", told.stderr
    assert len((folder / "seen").read_text().split(",")) == 2


@pytest.fixture
def apart(nodes: Nodes, tmp_path: Path) -> Iterator[None]:
    """The second node sees another folder in place of the shared one."""
    shared, other = tmp_path / "shared", tmp_path / "other"
    shared.mkdir()
    other.mkdir()
    nodes.lose("second")
    nodes.join("second", ("unshare", "--mount", "sh", "-c", f'mount --bind {other} {shared} && exec "$@"', "sh"))
    yield
    nodes.lose("second")
    nodes.join("second")


def test_a_folder_that_a_host_does_not_share_is_refused_by_its_name(apart: None, world: ClusterWorld) -> None:
    world.submit()
    assert world.ended(world.start()) == "failed"
    assert world.job.error is not None
    assert (world.job.error["code"], world.job.error["fault"]) == ("folder_not_shared", "system")
    assert world.job.error["details"]["folder"] == str(world.shared)
    assert world.nothing_left()


@pytest.mark.parametrize("there", [True, False])
def test_a_worker_knows_what_its_cluster_has(nodes: Nodes, tmp_path: Path, there: bool) -> None:
    address = nodes.address if there else "127.0.0.1:1"
    leaving, told = threading.Event(), threading.Event()
    view = ClusterView(settings_for(tmp_path, ray_address=address, ray_shared_dir=tmp_path), leaving, told.set)
    watching = threading.Thread(target=view.run)
    watching.start()
    try:
        if there:
            until(lambda: view.hosts == (1, 1), 120, lambda: view.said)
        else:
            until(lambda: told.is_set(), 120)
            assert (view.hosts, address in view.said["problem"]) == ((), True)
            assert view.said["remedy"]
    finally:
        leaving.set()
        view.stop()
        watching.join()
