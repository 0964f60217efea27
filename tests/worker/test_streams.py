"""Datasets of shards that stay where they lie: registered and trained on from real servers on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from minio import Minio

from distill.types import DistillConfig
from store.ids import new_id
from store.repositories import jobs, resources
from store.repositories.tenants import DEFAULT_TENANT
from store.tables import Dataset
from tests.data.files import write_tar
from tests.data.shard_files import Site, sample, site, write_parquet_shards, write_shards
from tests.services import s3 as s3_server
from tests.services.s3 import ACCESS_KEY, SECRET_KEY
from tests.slowness import within
from tests.store.support import claimed
from tests.worker.support import World, settings_for, wait_until
from tests.worker.test_inspections import row_of
from worker.inspecting.inspections import COMMAND, Inspections
from worker.jobs import supervisor
from worker.jobs.supervisor import Supervisor
from worker.transfer import references
from worker.watching.survivors import survivors

HERE = {"dataset_hosts": "127.0.0.1", "dataset_http_hosts": "127.0.0.1", "dataset_networks": "127.0.0.0/8"}
CONFIG = {
    "recipe": "cross_entropy", "epochs": 2, "batch_size": 8, "checkpoint_seconds": 0.01, "seed": 1, "device": "cpu",
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def here(world: World) -> World:
    world.settings = settings_for(world.settings.data_dir, **HERE)
    return world


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Site]:
    write_shards(tmp_path / "site", 4, 10)
    with site(tmp_path / "site") as server:
        yield server


def registered(world: World, *given: str, classes: list[str] | None = None, **roles: list[str]) -> str:
    shards = {"given": roles or {"all": list(given)}, "classes": classes}
    row = Dataset(
        id=new_id("dst"), tenant_id=DEFAULT_TENANT, name="s", kind="shards", files={}, shards=shards, digest=""
    )
    with world.database.write() as session:
        session.add(row)
    return row.id


def inspected(world: World, *given: str, **values: Any) -> Dataset:
    """The row, after its inspection."""
    dataset_id = registered(world, *given, **values)
    inspections = Inspections(world.settings, world.database, world.objects, "wrk_test", world.leaving, COMMAND)
    assert inspections.run_next()
    assert not list(world.settings.scratch.glob("*"))
    row: Dataset = row_of(world, Dataset, dataset_id)
    return row


def trained(world: World, dataset_id: str, **config: Any) -> str | None:
    """One attempt of a new job by a real trainer: the job's status."""
    settings = DistillConfig.model_validate(CONFIG | config).model_dump(mode="json")
    world.queue(dataset_id=dataset_id, config=settings, student={"name": "retort:resnet8", "options": {"width": 4}})
    return attempted(world)


def attempted(world: World) -> str | None:
    boss = Supervisor(world.settings, world.database, world.objects, world.leaving, supervisor.COMMAND)
    return boss.supervise(claimed(world.database, world.job_id))


def test_a_dataset_is_registered_by_its_index_and_trains_a_student(here: World, served: Site) -> None:
    row = inspected(here, served.url("{000000..000003}.tar"))
    assert (row.status, row.error, row.task) == ("ready", None, "classify_images")
    assert row.report is not None
    assert sum(sum(counts) for counts in row.report["counts"].values()) == 40
    assert row.report["classes"] == ["0", "1", "2"]
    assert row.report["thumbnails"]["rows"] == 3
    assert row.shards is not None
    lying = sum((served.folder / f"{n:06}.tar").stat().st_size for n in range(4))
    assert (row.shards["count"], row.shards["size_bytes"]) == (4, lying)
    assert set(row.files) == {"index", "manifest"}
    assert row.size_bytes == sum(here.objects.size(file["object_key"]) for file in row.files.values()) < lying
    asked = len(served.asked)

    assert trained(here, row.id) == "succeeded"
    assert here.artifact_bytes("student.safetensors")
    assert sorted(served.asked[asked:]) == [f"/{n:06}.tar" for n in range(4)]  # each once, for both epochs
    kept = [path for path in here.settings.kept_shards.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in kept) == lying

    assert trained(here, row.id) == "succeeded"
    assert len(served.asked) == asked + 4  # the host has them
    assert set(resources.object_keys(row)) == set(here.objects.keys(f"datasets/{row.id}/"))
