"""The supervisor's world where its jobs run on a cluster."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import torch

from distill.models import build, save
from distill.types import Architecture, DistillConfig
from store.database import Database
from store.ids import new_id
from store.objects import ObjectStore
from store.repositories import jobs
from store.repositories.tenants import DEFAULT_TENANT
from store.settings import Settings
from store.states import Status
from store.tables import Checkpoint, Teacher
from tests.cluster.nodes import Nodes
from tests.faults import processes
from tests.slowness import within
from tests.waiting import until, while_working
from tests.worker.support import World, settings_for
from worker.cluster.attempt import ClusterAttempt
from worker.jobs.supervisor import Supervisor

LEFT = """
import ray, sys
from ray.util import list_named_actors
ray.init(sys.argv[1], namespace="retort", log_to_driver=False, configure_logging=False)
print(list_named_actors(), ray.available_resources().get("CPU"))
"""
TEACHER = Architecture(name="retort:resnet8", options={"width": 4})
#: Seconds of training in small steps, with a checkpoint each second.
CONFIG = {
    "recipe": "feature_only", "layers": 2, "epochs": 40, "batch_size": 16, "train_limit": 64, "test_limit": 40,
    "quality_samples": 20, "checkpoint_seconds": 1, "precision": "fp32", "channels_last": False, "compile": False,
    "seed": 7,
}  # fmt: skip


def settings_on(folder: Path, address: str, **more: Any) -> Settings:
    cluster = {"ray_address": address, "ray_shared_dir": folder / "shared"}
    return settings_for(folder, **cluster, cancel_grace_seconds=20, **more)


class ClusterWorld(World):
    """Its job wants a process on each of two hosts."""

    def __init__(self, folder: Path, database: Database, objects: ObjectStore, nodes: Nodes, **more: Any) -> None:
        super().__init__(folder, database, objects)
        self.settings = settings_on(folder, nodes.address, **more)
        self.nodes, self.shared = nodes, folder / "shared"
        self._threads: list[threading.Thread] = []

    def submit(self, **config: Any) -> None:
        """The main job: a teacher of digits, of which a smaller student learns."""
        found = DistillConfig(**(CONFIG | config)).model_dump(mode="json")
        student = Architecture(name="retort:resnet8", options={"width": 2}).model_dump(mode="json")
        values = {"config": found, "recipe": found["recipe"], "student": student, "teacher_id": self._teacher()}
        self.queue(processes=2, hosts=2, max_attempts=9, **values)

    def _teacher(self) -> str:
        path = self.settings.data_dir / "teacher.safetensors"
        torch.manual_seed(0)  # of some teachers a student so small stays at chance, which fails the job
        save(build(TEACHER, 10, in_channels=1).eval(), path)
        stored = self.objects.put("teachers/one", path)
        row = Teacher(
            id=new_id("tch"), tenant_id=DEFAULT_TENANT, name="one", status="ready", object_key=stored.key,
            architecture=TEACHER.model_dump(mode="json"), report={"num_classes": 10}, sha256=stored.sha256,
            size_bytes=stored.size_bytes,
        )  # fmt: skip
        with self.database.write() as session:
            session.add(row)
            return row.id

    def start(self) -> list[Status | None]:
        """An attempt in a thread; the list has its result once it has ended."""
        boss = Supervisor(self.settings, self.database, self.objects, self.leaving, wide=ClusterAttempt)
        lease, ended = self.claim(), list[Status | None]()
        self._threads.append(threading.Thread(target=lambda: ended.append(boss.supervise(lease))))
        self._threads[-1].start()
        return ended

    def ended(self, result: list[Status | None]) -> Status | None:
        while_working(lambda: result, self._working, self.logs)
        return result[0]

    def _working(self) -> list[psutil.Process]:
        """The job's processes, on every host."""
        return processes.naming(self.job_id)

    def checkpoints(self) -> list[Checkpoint]:
        with self.database.read() as session:
            return jobs.checkpoints(session, self.job_id)

    def trains(self, attempt: int = 1) -> list[psutil.Process]:
        """The ranks, by their numbers, once a checkpoint of the attempt behind its first step is stored."""

        def further() -> bool:
            return any(row.attempt == attempt and row.step > 0 for row in self.checkpoints())

        while_working(further, self._working, self.logs)
        launchers = [each for each in processes.naming(self._mark(attempt)) if "worker.jobs.group" in said(each)]
        launchers = [each for each in launchers if "spawn_main" not in said(each)]
        by_host = sorted(launchers, key=lambda each: int(each.cmdline()[-5]))  # the meeting's number
        return [child for each in by_host for child in each.children() if "spawn_main" in said(child)]

    def waits_for_places(self) -> int:
        """How many attempts have said so."""
        return sum("in the cluster" in line and line.startswith("waiting for") for line in self.logs())

    def driver(self, attempt: int = 1) -> psutil.Process:
        found = [each for each in processes.naming(self._mark(attempt)) if "worker.cluster.driver" in said(each)]
        (driver,) = found
        return driver

    def _mark(self, attempt: int) -> str:
        return f"{self.job_id}/{attempt}"

    def errors(self) -> list[tuple[str, Any]]:
        """Code, and the rank that is named, of each attempt."""
        found = [attempt.error or {"code": "", "details": {}} for attempt in self.attempts]
        return [(error["code"], error["details"].get("rank")) for error in found]

    def nothing_left(self) -> bool:
        """No process, no actor and no folder of the job, and its places are free."""
        running = [said(each) for each in processes.naming(self.job_id)]
        assert not running, running
        assert not list(self.shared.glob(f"*/{self.job_id}"))
        return self.all_free()

    def all_free(self) -> bool:
        """No actor of ours is in the cluster, and both of its places are free."""
        until(lambda: self._held() == "[] 2.0", 60, self._held, pause=1)
        return True

    def _held(self) -> str:
        asked = [sys.executable, "-c", LEFT, self.nodes.address]
        return subprocess.run(asked, capture_output=True, text=True, cwd="/").stdout.strip()

    def close(self) -> None:
        self.leaving.set()
        for thread in self._threads:
            thread.join(within(60))
        assert not self.job_id or not processes.naming(self.job_id)


def said(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
