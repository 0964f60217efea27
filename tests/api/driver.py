"""Does to the database and the store what a worker does, so that the API's answers can be tested without one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distill.types import DistillConfig, Event, LayerQuality
from store.database import Database
from store.doorbell import InProcessDoorbell
from store.ids import new_id
from store.objects import FolderStore
from store.repositories import jobs, leases, recording, resources, system
from store.repositories.leases import Lease
from store.repositories.tenants import DEFAULT_TENANT
from store.tables import Artifact, Checkpoint, Dataset, Job, Teacher

ARCHITECTURES = ("retort:resnet8", "retort:resnet14", "timm:resnet34", "torchvision:resnet18")
NAMED = ("digits", "fashion-mnist")
CLASSES = 10


def point(index: int, total: int = 4) -> dict[str, Any]:
    """A plausible scored layer."""
    return LayerQuality(
        name=f"layer{index}",
        index=index,
        relative_depth=(index + 1) / total,
        kind="BasicBlock",
        shape=(8, 4, 4),
        separation=0.1 * index,
        information=1.0 + index,
        efficiency=0.5,
        quality=0.1 * index + ((1.0 + index) * 0.5) ** 0.5,
        minimum_similarity=0.4,
        entropy=2.0,
        nearest_distance=1.0,
        mean_norm=4.0,
    ).to_dict()


FRAME = {
    "total_layers": 4,
    "samples": 100,
    "classes": 10,
    "train_size": 900,
    "seed": 0,
    "digest": "d" * 64,
    "reused": False,
}
SELECTION = {
    "rule": "quality",
    "chosen": [2, 3],
    "teacher_layers": ["layer2", "layer3"],
    "student_layers": ["a", "b"],
    "reason": "highest Q",
}


class Driver:
    """A worker's hands."""

    def __init__(self, database: Database, objects: FolderStore, folder: Path) -> None:
        self.database, self.objects, self.folder = database, objects, folder

    def publish(self) -> None:
        with self.database.write() as session:
            system.publish(
                session, "architecture", [{"name": name, "library": name.split(":")[0]} for name in ARCHITECTURES]
            )
            system.publish(session, "dataset", [{"name": name, "classes": CLASSES} for name in NAMED])

    def dataset(self, tenant: str = DEFAULT_TENANT, **values: Any) -> str:
        defaults = {"name": "digits", "kind": "named", "status": "ready", "report": {"classes": CLASSES}}
        return self._add(Dataset(id=new_id("dst"), tenant_id=tenant, **defaults | values))

    def teacher(self, tenant: str = DEFAULT_TENANT, **values: Any) -> str:
        defaults: dict[str, Any] = {
            "name": "t",
            "status": "ready",
            "architecture": {"name": "timm:resnet34", "options": {}},
            "object_key": "teachers/none",
            "size_bytes": 10,
            "sha256": "0" * 64,
            "report": {"num_classes": CLASSES},
        }
        return self._add(Teacher(id=new_id("tch"), tenant_id=tenant, **defaults | values))

    def job(self, tenant: str = DEFAULT_TENANT, **values: Any) -> str:
        recipe = values.get("recipe", "feature_only")
        defaults: dict[str, Any] = {
            "recipe": recipe,
            "config": DistillConfig.model_validate({"recipe": recipe}).model_dump(mode="json"),
            "student": {"name": "retort:resnet8", "options": {}},
        }
        if "dataset_id" not in values:
            values["dataset_id"] = self.dataset(tenant)
        row = Job(id=new_id("job"), tenant_id=tenant, **defaults | values)
        with self.database.write() as session:
            jobs.add(session, row)
        return row.id

    def _add(self, row: Teacher | Dataset) -> str:
        with self.database.write() as session:
            session.add(row)
        return row.id

    def claim(self, job_id: str) -> Lease:
        with self.database.write() as session:
            lease = leases.claim(session, job_id, "wrk_test", 60)
        assert lease is not None
        return lease

    def record(self, lease: Lease, *events: Event) -> None:
        for event in events:
            with self.database.write() as session:
                recording.record(session, lease, event)

    def artifact(self, lease: Lease, name: str, content: bytes, media_type: str = "application/octet-stream") -> None:
        path = self.folder / "artifact"
        path.write_bytes(content)
        info = self.objects.put(f"jobs/{lease.job_id}/artifacts/{name}", path)
        row = Artifact(
            job_id=lease.job_id, name=name, media_type=media_type, object_key=info.key,
            size_bytes=info.size_bytes, sha256=info.sha256,
        )  # fmt: skip
        with self.database.write() as session:
            recording.add_artifact(session, lease, row)

    def checkpoint(self, lease: Lease, step: int) -> None:
        path = self.folder / "checkpoint"
        path.write_bytes(b"state")
        info = self.objects.put(f"jobs/{lease.job_id}/checkpoints/{step}", path)
        row = Checkpoint(
            job_id=lease.job_id, step=step, epoch=1.0, attempt=lease.attempt, object_key=info.key,
            size_bytes=info.size_bytes, sha256=info.sha256,
        )  # fmt: skip
        with self.database.write() as session:
            recording.add_checkpoint(session, lease, row)

    def score(self, lease: Lease, layers: int = 4) -> None:
        self.record(lease, Event("phase", {"phase": "scoring"}), Event("layers", FRAME))
        self.record(lease, *(Event("layer_quality", point(index)) for index in range(layers)))

    def finish(self, lease: Lease, status: str, error: dict[str, Any] | None = None) -> None:
        with self.database.write() as session:
            assert leases.finish(session, lease, status, status, error)  # type: ignore[arg-type]

    def succeed(
        self, job_id: str, student: bytes = b"weights", name: str = "student.safetensors",
        further: Mapping[str, bytes] | None = None,
    ) -> Lease:  # fmt: skip
        """The whole way of a job; `name`: of the student's file; `further`: files by name."""
        lease = self.claim(job_id)
        self.score(lease)
        self.record(lease, Event("selection", SELECTION), Event("phase", {"phase": "distilling"}))
        self.record(lease, Event("log", {"level": "info", "message": "step 1"}))
        for step in (1, 2):
            values = {"loss": 1.0 / step}
            self.record(lease, Event("metrics", {"step": step, "epoch": 1.0, "split": "train", "values": values}))
        self.record(
            lease,
            Event(
                "progress", {"fraction": 1.0, "step": 2, "total_steps": 2, "images_per_second": 1.0, "eta_seconds": 0.0}
            ),
        )
        self.checkpoint(lease, 2)
        self.artifact(lease, name, student)
        self.artifact(lease, "report.md", b"# Report\n", "text/markdown")
        self.artifact(lease, "report.json", b"{}", "application/json")
        for file, content in (further or {}).items():
            self.artifact(lease, file, content, "application/json")
        self.record(lease, Event("result", {"student": {"accuracy": 0.9}}))
        self.finish(lease, "succeeded")
        return lease


Verdict = Callable[[Teacher | Dataset], tuple[str, dict[str, Any]]]


def accept(row: Teacher | Dataset) -> tuple[str, dict[str, Any]]:
    key = "num_classes" if isinstance(row, Teacher) else "classes"
    return "ready", {"report": {key: CLASSES}}


def refuse(row: Teacher | Dataset) -> tuple[str, dict[str, Any]]:
    code = "invalid_teacher" if isinstance(row, Teacher) else "invalid_dataset"
    details = {"missing": ["fc.weight"]}
    error = {
        "code": code,
        "message": "It does not fit.",
        "remedy": "Send another.",
        "fault": "user",
        "retryable": False,
    }
    return "invalid", {"error": error | {"details": details}}


class Inspector:
    """A thread that inspects what is registered, with a verdict that the test sets (None: nobody inspects)."""

    def __init__(self, database: Database, doorbell: InProcessDoorbell) -> None:
        self.database, self.doorbell = database, doorbell
        self.verdict: Verdict | None = accept
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Inspector:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.doorbell.ring("job", "end")
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            seen = self.doorbell.rings
            if self.verdict is not None:
                self._inspect(Teacher, self.verdict)
                self._inspect(Dataset, self.verdict)
            self.doorbell.wait(seen, 1)

    def _inspect(self, table: type[resources.Resource], verdict: Verdict) -> None:
        with self.database.read() as session:
            waiting = resources.waiting(session, table)
        for resource_id in waiting:
            with self.database.write() as session:
                row = resources.claim(session, table, resource_id, "wrk_test", 60)
                if row is not None:
                    status, values = verdict(row)
                    resources.finish(session, row, status, **values)
