"""Publishing to a bucket of a real S3 server."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from minio import Minio

from tests.publishing.world import World, ask, files, look
from tests.services.s3 import ACCESS_KEY, S3, SECRET_KEY

pytestmark = pytest.mark.services
BUCKET = "models"


@pytest.fixture(scope="module")
def bucket(s3: S3, client: TestClient) -> Minio:
    right = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
    for name, value in (("bucket", right), ("wrong", right | {"secret_key": "another-secret-key"})):
        assert client.put(f"/secrets/{name}", json={"value": value}).status_code == 200
    found = Minio(endpoint=f"127.0.0.1:{s3.port}", access_key=ACCESS_KEY, secret_key=SECRET_KEY, secure=False)
    if not found.bucket_exists(bucket_name=BUCKET):
        found.make_bucket(bucket_name=BUCKET)
    return found


def place(s3: S3, **more: Any) -> dict[str, Any]:
    return {"parameters": {"endpoint": s3.endpoint, "bucket": BUCKET, "prefix": "birds/v1"} | more, "secret": "bucket"}


def test_every_file_is_under_the_prefix_and_the_list_comes_last(
    world: World, client: TestClient, student: str, s3: S3, bucket: Minio, tmp_path: Path
) -> None:
    made = ask(client, student, "s3", **place(s3))
    assert world.run(made) == "succeeded", look(client, made)["error"]
    assert look(client, made)["receipt"]["url"] == f"s3://{BUCKET}/birds/v1/"
    held = {each.object_name: each for each in bucket.list_objects(bucket_name=BUCKET, recursive=True)}
    assert set(held) == {f"birds/v1/{name}" for name, _, _ in files()} | {"birds/v1/publication.json"}
    path = tmp_path / "publication.json"
    bucket.fget_object(bucket_name=BUCKET, object_name="birds/v1/publication.json", file_path=str(path))
    told = {each["name"]: each["sha256"] for each in json.loads(path.read_text())["files"]}
    assert told == {name: hashlib.sha256(content).hexdigest() for name, content, _ in files()}
    before = {name: each.last_modified for name, each in held.items() if not name.endswith("publication.json")}
    again = ask(client, student, "s3", again=True, **place(s3))
    assert world.run(again) == "succeeded"
    assert look(client, again)["receipt"] == look(client, made)["receipt"]
    after = {each.object_name: each.last_modified for each in bucket.list_objects(bucket_name=BUCKET, recursive=True)}
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    ("more", "secret", "code"),
    [
        ({}, "wrong", "credentials_refused"),
        ({"bucket": "there-is-none"}, "bucket", "target_refused"),
        ({"endpoint": "http://127.0.0.1:9"}, "bucket", "target_unavailable"),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_what_goes_wrong_is_named(
    more: dict[str, Any], secret: str, code: str, world: World, client: TestClient, student: str, s3: S3
) -> None:
    status = "queued" if code == "target_unavailable" else "failed"
    made = ask(client, student, "s3", **place(s3, prefix=code, **more) | {"secret": secret})
    assert world.run(made) == status
    attempts = client.get(f"{made['links']['job']}/attempts").json()["items"]
    assert attempts[-1]["error"]["code"] == code
    if status == "queued":
        assert client.post(f"{made['links']['job']}/cancel").status_code == 202
