"""What is told of clusters where Ray is not installed, and what needs no Ray to be told."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from store.database import Database
from store.objects import FolderStore
from store.repositories import system
from store.tables import Worker
from tests.store.support import migrated
from tests.waiting import until
from tests.worker.support import settings_for
from worker.cluster.devices import Devices
from worker.cluster.host import PROBE, Host
from worker.cluster.view import ClusterView
from worker.jobs.group import Meeting
from worker.slots.housekeeping import FORGOTTEN_SECONDS, Housekeeping


def node(alive: bool = True, **resources: float) -> dict[str, object]:
    return {"Alive": alive, "Resources": {"memory": 1e9, **resources}}


def test_a_device_is_a_gpu_with_its_share_of_cores_or_a_core() -> None:
    head = node(CPU=0)
    cores = Devices.of([head, node(CPU=2), node(CPU=8), node(alive=False, CPU=64)])
    assert (cores.hosts, cores.bundle(2)) == ((8, 2), {"CPU": 2})
    gpus = Devices.of([head, node(CPU=64), node(CPU=32, GPU=8), node(CPU=24, GPU=4), node(GPU=2)])
    assert (gpus.hosts, gpus.cores, gpus.bundle(2)) == ((8, 4, 2), 0, {"GPU": 2})
    shared = Devices.of([node(CPU=32, GPU=8), node(CPU=24, GPU=4)])
    assert shared.bundle(2) == {"CPU": 8, "GPU": 2}


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_a_worker_without_ray_says_so(tmp_path: Path) -> None:
    leaving = threading.Event()
    view = ClusterView(settings_for(tmp_path, ray_address="127.0.0.1:6379", ray_shared_dir=tmp_path), leaving)
    watching = threading.Thread(target=view.run)
    watching.start()
    try:
        until(lambda: "not installed" in view.said["problem"], 60, lambda: view.said)
        assert "retort[worker,ray]" in view.said["remedy"]
        assert view.hosts == ()
    finally:
        leaving.set()
        view.stop()
        watching.join()


def test_a_worker_without_a_cluster_says_nothing(tmp_path: Path) -> None:
    view = ClusterView(settings_for(tmp_path))
    view.run()
    assert (view.said, view.hosts) == ({}, ())


def test_a_worker_whose_cluster_said_nothing_names_the_setting_to_look_at(tmp_path: Path) -> None:
    view = ClusterView(settings_for(tmp_path, ray_address="127.0.0.1:1", ray_shared_dir=tmp_path))
    assert view.said["problem"]
    assert "RETORT_RAY_ADDRESS" in view.said["remedy"]
    assert view.hosts == ()


def test_what_a_forgotten_worker_left_in_the_shared_folder_goes(tmp_path: Path, sqlite_url: str) -> None:
    shared = tmp_path / "shared"
    settings = settings_for(tmp_path, ray_address="127.0.0.1:1", ray_shared_dir=shared)
    with migrated(sqlite_url) as database:
        lives(database, "wrk_known")
        for name in ("wrk_known", "wrk_gone", "wrk_new", "others"):
            (shared / name / "job_1" / "1").mkdir(parents=True)
        for name in ("wrk_known", "wrk_gone", "others"):
            os.utime(shared / name, (time.time() - FORGOTTEN_SECONDS - 1,) * 2)
        Housekeeping(settings, database, FolderStore(tmp_path / "objects"), "wrk_known", lambda: None).round()
    assert sorted(path.name for path in shared.iterdir()) == ["others", "wrk_known", "wrk_new"]


def lives(database: Database, name: str) -> None:
    with database.write() as session:
        system.register_worker(session, Worker(id=name, hostname="h", pid=1, slots=1, info={}))


def test_a_host_tells_whether_the_folder_is_the_workers(tmp_path: Path) -> None:
    worker, other = tmp_path / "worker", tmp_path / "other"
    for folder, token in ((worker, "a"), (other, "b")):
        folder.mkdir()
        (folder / PROBE).write_text(token)
    same = Host(str(worker), "127.0.0.1").introduce("a")
    assert (same["problem"], (worker / same["left"]).read_text()) == ("", "a")
    assert Host(str(other), "127.0.0.1").introduce("a")["problem"]
    assert "No such file" in Host(str(tmp_path / "none"), "127.0.0.1").introduce("a")["problem"]


def test_a_host_tells_what_it_ended_for_memory_and_its_name(tmp_path: Path) -> None:
    """The worker counts what its own machine does, which says nothing of this one."""
    host = Host(str(tmp_path), "127.0.0.1", (sys.executable, "-m", "tests.cluster.dies"))
    host.start(2, Meeting(1, 2, "127.0.0.1:1", "127.0.0.1"), 1)
    failures = list[dict[str, Any]]()

    def heard() -> bool:
        told = host.hear(0.1)
        failures.extend(data for kind, data in told["events"] if kind == "failed")
        return told["exit_code"] is not None

    until(heard, 60)
    (failure,) = failures
    assert (failure["code"], failure["retryable"]) == ("trainer_crashed", True)
    details = failure["details"]
    assert (details["rank"], details["processes"], details["signal"]) == (3, 4, "SIGKILL")
    assert details["killed_for_memory"] in (False, None)
    assert socket.gethostname() in failure["message"]
