"""A service whose publications run: the API over a database and a store, and the lane that a worker has for them."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from api.app import create_app
from distill.types import Event
from store.doorbell import InProcessDoorbell
from store.objects import FolderStore
from store.repositories import leases
from store.repositories.leases import Lease
from store.repositories.shares import Lane
from store.settings import Settings
from tests.api.driver import Driver
from tests.services.tables import opened
from worker.jobs.publication import PublicationAttempt
from worker.jobs.supervisor import Supervisor

KEY = base64.b64encode(os.urandom(32)).decode()
OPEN: dict[str, Any] = {
    "publish_http_hosts": "127.0.0.1", "publish_networks": "127.0.0.0/8",
    "retry_back_off_seconds": 0, "max_attempts": 2,
}  # fmt: skip
METRICS = [
    (step, split, {"loss": 1.0 / step, "accuracy": step / 10}) for step in (1, 2, 3) for split in ("train", "val")
]
DESCRIBED = {
    "architecture": {"name": "timm:resnet10t", "options": {}},
    "classes": ["bird", "cat"],
    "preprocessing": {
        "mean": [0.5], "std": [0.25], "size": [32, 32], "channels": 1, "interpolation": "bilinear", "crop": 0.9,
        "pixel_range": None,
    },
    "task": "classify_images",
}  # fmt: skip


class World:
    def __init__(self, folder: Path, url: str = "", **settings: Any) -> None:
        """`url`: of an empty database; one of SQLite unless given."""
        self.settings = Settings(**{"data_dir": folder / "data", "secrets_key": KEY, **OPEN, **settings})
        self.database, self.doorbell = opened(url or f"sqlite:///{folder / 'retort.db'}"), InProcessDoorbell()
        self.objects = FolderStore(folder / "objects")
        self.driver = Driver(self.database, self.objects, folder)
        self.folder, self.logs = folder, io.StringIO()

    @contextmanager
    def serving(self) -> Iterator[TestClient]:
        """The API; what is logged meanwhile is in `logs`."""
        app = create_app(self.settings, self.database, self.objects, self.doorbell)
        handler = logging.StreamHandler(self.logs)
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            with TestClient(app, base_url="http://127.0.0.1:8000") as client:
                self.driver.publish()
                yield client
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
            self.database.close()

    def student(self, **values: Any) -> str:
        """A job that has succeeded, with the files of a small timm classifier and a history of metrics."""
        dataset = self.driver.dataset(task="classify_images")
        student = {"name": "timm:resnet10t", "options": {}}
        job = self.driver.job(dataset_id=dataset, name="birds", student=student, **values)
        lease = self.driver.claim(job)
        for step, split, metrics in METRICS:
            data = {"step": step, "epoch": step / 3, "split": split, "values": metrics}
            self.driver.record(lease, Event("metrics", data))
        self.succeed(lease)
        return job

    def succeed(self, lease: Lease) -> None:
        """The end of a job, with a student's files."""
        for name, content, kind in files():
            self.driver.artifact(lease, name, content, kind)
        self.driver.record(lease, Event("result", {"student": {"accuracy": 0.9}}))
        self.driver.finish(lease, "succeeded")

    def run(self, made: dict[str, Any], lane: Lane = "publications") -> str | None:
        """One attempt of a publication, as a worker's lane makes it; the job's status then."""
        assert self.lanes(made) == [lane]
        with self.database.write() as session:
            lease = leases.claim(session, made["id"], "wrk_test", 60)
        assert lease is not None
        return Supervisor(self.settings, self.database, self.objects, attempt=PublicationAttempt).supervise(lease)

    def lanes(self, made: dict[str, Any]) -> list[Lane]:
        """Those in which a publication may start now."""
        lanes: tuple[Lane, ...] = ("slots", "publications", "live")
        with self.database.read() as session:
            return [lane for lane in lanes if made["id"] in leases.queued(session, lane=lane)]


def files() -> list[tuple[str, bytes, str]]:
    return [
        ("student.safetensors", bytes(range(256)) * 64, "application/x-safetensors"),
        ("student.json", json.dumps(DESCRIBED).encode(), "application/json"),
        ("README.md", b"# resnet10t, feature_only\n\nA student.\n", "text/markdown"),
        ("report.json", b"{}", "application/json"),
    ]


def ask(client: TestClient, job: str, target: str, **body: Any) -> dict[str, Any]:
    answer = client.post(f"/jobs/{job}/publish", json={"target": target} | body)
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    return made


def look(client: TestClient, made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = client.get(made["links"]["self"]).raise_for_status().json()
    return found
