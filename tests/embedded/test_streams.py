"""A dataset that stays in a bucket, from `POST /datasets` to a student, over HTTP against the whole service."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from minio import Minio

from tests.data.shard_files import write_shards
from tests.embedded.service import Service, wait_for
from tests.integration.main_job import architectures_known
from tests.services.s3 import ACCESS_KEY, S3, SECRET_KEY
from tests.worker.support import wait_until

pytestmark = pytest.mark.long


@pytest.fixture
def bucket(tmp_path: Path, s3: S3) -> str:
    name = s3.new_bucket()
    store = Minio(s3.endpoint.removeprefix("http://"), ACCESS_KEY, SECRET_KEY, secure=False)
    store.make_bucket(bucket_name=name)
    for path in write_shards(tmp_path / "shards", 6, 10).iterdir():
        store.fput_object(bucket_name=name, object_name=f"photos/{path.name}", file_path=str(path))
    return name


@pytest.fixture
def service(tmp_path: Path, s3: S3, bucket: str) -> Iterator[Service]:
    told = {
        "RETORT_S3_ENDPOINT": s3.endpoint, "RETORT_S3_BUCKET": s3.new_bucket(), "RETORT_S3_ACCESS_KEY": ACCESS_KEY,
        "RETORT_S3_SECRET_KEY": SECRET_KEY, "RETORT_DATASET_BUCKETS": bucket,
    }  # fmt: skip
    service = Service(tmp_path / "data", **told)
    try:
        yield service
        assert service.end(signal.SIGINT) == 0
    finally:
        service.kill()


def test_from_a_bucket_to_a_student(service: Service, bucket: str, tmp_path: Path) -> None:
    client = service.client()
    wait_until(lambda: architectures_known(client), 180)
    made = client.post("/datasets", json={"mode": "stream", "shards": f"s3://{bucket}/photos/*.tar"})
    assert made.status_code == 201, made.text
    dataset = made.json()
    assert (dataset["mode"], dataset["shards"]["count"], dataset["task"]) == ("stream", 6, "classify_images")

    config = {"recipe": "cross_entropy", "epochs": 2, "batch_size": 8, "seed": 1}
    body = {"dataset": dataset["id"], "student": "retort:resnet8", "config": config}
    planned = client.post("/jobs", json=body, params={"dry_run": True})
    assert planned.status_code == 200, planned.text
    job = client.post("/jobs", json=body)
    assert job.status_code == 202, job.text
    done = wait_for(client, job.json()["id"], 240, status="succeeded")
    assert client.get(f"/jobs/{done['id']}/student").status_code == 200
    kept = [path for path in (tmp_path / "data" / "scratch" / ".shards" / "whole").iterdir() if path.is_file()]
    assert len(kept) == 6
    assert client.delete(f"/datasets/{dataset['id']}").status_code == 409  # the job still refers to it
    assert client.delete(f"/jobs/{done['id']}").status_code == 204
    assert client.delete(f"/datasets/{dataset['id']}").status_code == 204
