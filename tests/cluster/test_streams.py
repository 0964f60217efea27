"""Jobs on two hosts whose dataset stays where it lies: shards of a real S3 server, supplied to both by the worker."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from minio import Minio

from distill.modalities.images.shards.supply import INDEX, SUPPLY
from distill.types import DatasetInput, DistillConfig
from store.database import Database
from store.objects import FolderStore
from store.tables import Dataset
from tests.cluster.nodes import Nodes
from tests.cluster.reads import BATCH, START
from tests.cluster.world import ClusterWorld
from tests.data.shard_files import write_parquet_shards, write_shards
from tests.integration.stack import ROOT
from tests.services import s3 as s3_server
from tests.services.s3 import ACCESS_KEY, SECRET_KEY
from tests.waiting import until, while_working
from tests.worker.test_streams import inspected
from worker.jobs.supervisor import Supervisor
from worker.processes.slot import Slot
from worker.transfer import shards
from worker.transfer.shards import MANIFEST
from worker.transfer.supplier import Kept, Store, Supplier

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(3600)]
SHARDS, EACH = 36, 6
CONFIG = {
    "recipe": "cross_entropy", "batch_size": 16, "checkpoint_seconds": 0.1, "precision": "fp32", "compile": False,
    "channels_last": False, "seed": 7,
}  # fmt: skip


class Streamed:
    """A world, and a dataset of it whose shards a bucket has; its jobs are on two hosts unless they say otherwise."""

    def __init__(self, world: ClusterWorld, store: Minio, bucket: str, folder: Path) -> None:
        self.world, self._store, self._bucket, self._folder = world, store, bucket, folder
        for path in folder.iterdir():
            self.put(path.name, path.name)
        self.row: Dataset = inspected(world, f"s3://{bucket}/")
        assert (self.row.status, self.row.error) == ("ready", None)

    def put(self, name: str, content: str) -> None:
        self._store.fput_object(bucket_name=self._bucket, object_name=name, file_path=str(self._folder / content))

    def url(self, name: str) -> str:
        return f"s3://{self._bucket}/{name}"

    def queue(self, hosts: int = 2, epochs: int = 3) -> None:
        config = DistillConfig.model_validate(CONFIG | {"epochs": epochs}).model_dump(mode="json")
        student = {"name": "retort:resnet8", "options": {"width": 4}}
        more = {"processes": 2, "hosts": hosts, "max_attempts": 9}
        self.world.queue(dataset_id=self.row.id, config=config, student=student, **more)

    def on_one_host(self) -> bytes:
        """The student of two processes of one host."""
        self.queue(hosts=1)
        world = self.world
        boss = Supervisor(world.settings, world.database, world.objects, world.leaving)
        assert boss.supervise(world.claim(), Slot(devices=2, cores=2)) == "succeeded"
        return world.artifact_bytes("student.safetensors")

    def kept(self) -> list[Path]:
        return [path for path in self.world.settings.shared_shards.iterdir() if path.is_file()]

    def of_role(self, role: str) -> bytes:
        return b"".join(self.world.objects.read(self.row.files[role]["object_key"]))


@pytest.fixture
def streamed(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    database: Database,
    folder_store: FolderStore,
    nodes: Nodes,
    s3: s3_server.S3,
) -> Iterator[Streamed]:
    """Less than all shards may be kept at one time. Parameter: what writes them."""
    write = getattr(request, "param", write_shards)
    folder: Path = write(tmp_path / "site", SHARDS, EACH)
    bucket = s3.new_bucket()
    store = Minio(s3.endpoint.removeprefix("http://"), ACCESS_KEY, SECRET_KEY, secure=False)
    store.make_bucket(bucket_name=bucket)
    world = ClusterWorld(
        tmp_path, database, folder_store, nodes, s3_endpoint=s3.endpoint, s3_access_key=ACCESS_KEY,
        s3_secret_key=SECRET_KEY, dataset_buckets=bucket,
        shard_cache_bytes=sum(sorted(path.stat().st_size for path in folder.iterdir())[-32:]),
    )  # fmt: skip
    yield Streamed(world, store, bucket, folder)
    world.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("supplier", "shards"))]


def test_a_job_on_two_hosts_learns_what_one_host_would(streamed: Streamed) -> None:
    """In one go, and with a rank that is killed within an epoch; then a shard has changed."""
    world = streamed.world
    alone = streamed.on_one_host()
    assert not world.shared.exists()
    for path in world.settings.kept_shards.iterdir():
        path.unlink() if path.is_file() else None

    streamed.queue()
    assert world.ended(world.start()) == "succeeded"
    assert world.artifact_bytes("student.safetensors") == alone
    assert not [path for path in world.settings.kept_shards.iterdir() if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in streamed.kept()) <= world.settings.shard_cache_bytes
    steps = (world.job.result or {})["training"]["steps"]
    assert world.nothing_left()

    streamed.queue()
    result = world.start()
    while_working(lambda: max(steps_of(world), default=0) % (steps // 3), world._working, world.logs)
    world.trains()[1].kill()
    assert world.ended(result) == "queued"
    assert world.ended(world.start()) == "succeeded"
    assert world.errors() == [("trainer_crashed", 1), ("", None)]
    assert world.artifact_bytes("student.safetensors") == alone
    assert world.nothing_left()

    for path in streamed.kept():
        path.unlink()
    streamed.put("000002.tar", "000003.tar")
    streamed.queue()
    assert world.ended(world.start()) == "failed"
    error = world.job.error or {}
    assert (error["code"], error["fault"], error["details"]["shard"]) == (
        "invalid_dataset", "user", streamed.url("000002.tar"),
    )  # fmt: skip
    assert error["remedy"]
    assert world.nothing_left()


def steps_of(world: ClusterWorld) -> list[int]:
    return [row.step for row in world.checkpoints()]


def test_a_cancelled_job_is_supplied_no_more(streamed: Streamed) -> None:
    streamed.queue(epochs=10_000)
    result = streamed.world.start()
    streamed.world.trains()
    assert any(thread.name == "supplier" for thread in threading.enumerate())
    streamed.world.ask("cancelling")
    assert streamed.world.ended(result) == "cancelled"
    assert not [thread for thread in threading.enumerate() if thread.name == "supplier"]
    assert streamed.world.nothing_left()
    assert not [path for path in streamed.kept() if path.suffix]


READ = """
import sys
from pathlib import Path
from worker.cluster.connection import connected
from worker.cluster.team import Team
with connected(sys.argv[1]) as ray:
    launcher = [sys.executable, "-m", "tests.cluster.reads"]
    print(Team(ray, 2, 1, Path(sys.argv[2]), print, launcher).run())
"""


@pytest.mark.parametrize("streamed", [write_shards, write_parquet_shards], indirect=True)
def test_two_hosts_see_every_sample_once_an_epoch(streamed: Streamed, tmp_path: Path) -> None:
    settings, folder = streamed.world.settings, streamed.world.shared / "wrk_1" / "job_1" / "1"
    folder.mkdir(parents=True)
    (folder / "index.shards").write_bytes(streamed.of_role(INDEX))
    files = {INDEX: str(folder / "index.shards"), SUPPLY: str(folder / "links")}
    (folder / "spec.json").write_text(DatasetInput(kind="shards", name="s", files=files).model_dump_json())
    entries, store = shards.read(streamed.of_role(MANIFEST).decode()), Store.of_cluster(settings, "wrk_1")
    supplier = Supplier(
        folder / "links", folder / "wanted", store.folder, settings.shard_cache_bytes, store.held_seconds
    )
    with supplier.start(Kept(settings, entries, store), len(entries)):
        asked = [sys.executable, "-c", READ, streamed.world.nodes.address, str(folder)]
        told = subprocess.run(asked, capture_output=True, text=True, cwd=ROOT, check=False)
        assert told.stdout.splitlines()[-1:] == ["None"], (told.stdout, told.stderr)
    one, two = (json.loads((folder / f"seen-{number}").read_text()) for number in range(2))
    samples = one["samples"]
    for mine, others in zip(one["epochs"], two["epochs"], strict=True):
        seen = Counter(i for batch in mine + others for i in batch)
        assert set(seen.values()) == {1}
        assert samples - len(seen) < 2  # the last sample, where it is the only one of its batch
        assert all(len(a) == BATCH // 2 for a in mine[:-1] + others[:-1])
    assert one["epochs"][0] != one["epochs"][1]
    assert samples > SHARDS * EACH * 0.6
    assert (one["rest"], two["rest"]) == (one["epochs"][-1][START:], two["epochs"][-1][START:])
    assert sum(path.stat().st_size for path in streamed.kept()) <= settings.shard_cache_bytes
    until(streamed.world.all_free, 60, lambda: "", pause=1)
