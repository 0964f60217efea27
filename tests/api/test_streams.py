"""`POST /datasets` of shards that stay where they lie: what is refused at once, what is shown, what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from store import shard_references
from store.database import Database
from store.objects import FolderStore
from store.repositories import parts, resources
from store.settings import Settings
from store.tables import Dataset
from tests.api.checks import pointers, problem
from tests.api.driver import Inspector
from tests.waiting import until as wait_until

URL = "https://data.example.org/photos/{000..127}.tar"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", inspect_wait_seconds=5, dataset_hosts="data.example.org")


def test_it_is_registered_by_index_and_manifest_and_deleting_it_frees_them(
    client: TestClient, inspector: Inspector, objects: FolderStore, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(bytes(40))

    def read(row: Any) -> tuple[str, dict[str, Any]]:
        keys = shard_references.object_keys(row.id)
        for key in keys:
            objects.put(key, tmp_path / "x")
        facts = {"size_bytes": 40, "sha256": "0" * 64}
        files = {role: facts | {"object_key": key} for role, key in zip(("index", "manifest"), keys, strict=True)}
        shards = row.shards | {"count": 128, "size_bytes": 10**9}
        report = {"classes": ["cat", "dog"], "counts": {}}
        return "ready", {"report": report, "files": files, "size_bytes": 80, "shards": shards}

    inspector.verdict = read
    answer = client.post("/datasets", json={"mode": "stream", "shards": URL, "classes": ["cat", "dog"]})
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["name"], found["kind"], found["mode"], found["size_bytes"]) == ("photos", "shards", "stream", 80)
    assert found["shards"] == {
        "given": {"all": [URL]},
        "classes": ["cat", "dog"],
        "classes_from": "",
        "decode": "bounded",
        "inspection": "all",
        "count": 128,
        "size_bytes": 10**9,
    }
    assert found["reading"] is None
    assert set(found["files"]) == {"index", "manifest"}
    assert client.get(f"/datasets/{found['id']}").json() == found
    assert len(list(objects.keys(f"datasets/{found['id']}/"))) == 2
    assert client.delete(f"/datasets/{found['id']}").status_code == 204
    assert list(objects.keys("")) == []


def test_by_split_and_by_several_names(client: TestClient, inspector: Inspector) -> None:
    seen: list[Any] = []

    def look(row: Any) -> tuple[str, dict[str, Any]]:
        seen.append((row.kind, row.shards["given"]))
        return "ready", {"report": {"classes": []}}

    inspector.verdict = look
    named = [f"https://data.example.org/{name}.tar" for name in ("a", "b")]
    body = {"mode": "stream", "train_shards": named, "test_shards": URL, "name": "n"}
    answer = client.post("/datasets", json=body)
    assert answer.status_code == 201, answer.text
    assert seen == [("shards", {"train": named, "test": [URL]})]
    inspector.verdict = lambda row: ("ready", {"report": {"classes": []}})
    sent = client.post("/datasets", files={"file": ("a.csv", b"image,label\nAAAA,1\n")}).json()
    assert (sent["mode"], sent["shards"]) == ("copy", None)


def test_shards_that_are_classes_may_count_with_gaps(client: TestClient, inspector: Inspector) -> None:
    inspector.verdict = lambda row: ("ready", {"report": {"classes": []}})
    named = [f"https://data.example.org/{name}.tar" for name in ("n01440764", "n01443537")]
    answer = client.post("/datasets", json={"mode": "stream", "shards": named, "classes_from": "shards"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["shards"]["classes_from"] == "shards"
    problem(client.post("/datasets", json={"mode": "stream", "shards": named}), 422, "invalid_dataset")


def test_how_far_the_parts_are_is_shown_and_they_go_with_the_dataset(
    client: TestClient, database: Database, objects: FolderStore, tmp_path: Path
) -> None:
    """No worker is there: it waits, and what others would have read is put in its place."""
    answer = client.post(
        "/datasets", json={"mode": "stream", "shards": URL, "decode": "all"}, headers={"Prefer": "wait=0"}
    )
    assert answer.status_code == 202, answer.text
    made = answer.json()
    assert (made["reading"], made["shards"]["decode"]) == (None, "all")
    with database.write() as session:
        row = resources.claim(session, Dataset, made["id"], "wrk_1", 60)
        assert row is not None
        parts.divide(session, row, [(0, 64), (64, 128)], list={"object_key": "x", "sha256": "0" * 64})
        held = parts.claim(session, made["id"], 1, "wrk_1", 60)
        assert held is not None
        parts.finish(session, held[0], None, [{"url": "u", "size_bytes": 9, "sha256": "0" * 64}] * 64)
    (tmp_path / "x").write_bytes(b"x")
    objects.put(f"{shard_references.parts(made['id'])}1-1", tmp_path / "x")
    told = {"parts": 2, "parts_read": 1, "shards": 128, "shards_read": 64, "bytes_read": 576, "bytes": None}
    assert client.get(f"/datasets/{made['id']}").json()["reading"] == told
    assert client.get("/datasets").json()["items"][0]["reading"] == told
    assert client.delete(f"/datasets/{made['id']}").status_code == 204
    assert list(objects.keys("")) == []


SAMPLE = {
    "shards": 16, "of_shards": 128, "bytes": 160, "images": 32, "estimated_bytes": 1280, "estimated_images": 256,
    "unreadable": 0, "labelled": 32, "class_count": 2, "classes": ["cat", "dog"], "heights": [20, 22, 24],
    "widths": [24, 24, 24],
}  # fmt: skip


@pytest.mark.usefixtures("driver")
def test_a_sampled_dataset_says_what_it_rests_on_and_no_job_uses_it_until_the_rest_is_read(
    client: TestClient, inspector: Inspector
) -> None:
    inspector.verdict = lambda row: (
        ("sampled", {"reading": {"sample": SAMPLE}})
        if row.shards["inspection"] == "sample"
        else ("ready", {"report": {"classes": ["cat", "dog"], "counts": {}}})
    )
    answer = client.post("/datasets", json={"mode": "stream", "shards": URL, "inspection": "sample"})
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["status"], found["sample"], found["reading"], found["report"]) == ("sampled", SAMPLE, None, None)
    job = {"dataset": found["id"], "student": {"name": "retort:resnet8"}, "config": {"recipe": "cross_entropy"}}
    for path in ("/jobs", "/jobs?dry_run=true"):
        refused = problem(client.post(path, json=job), 422, "dataset_not_ready")
        assert pointers(refused) == {"/dataset"}
        assert f"/datasets/{found['id']}/inspect" in str(refused)

    address = f"/datasets/{found['id']}"
    asked = client.post(f"{address}/inspect")
    assert (asked.status_code, asked.json()["status"], asked.headers["Location"]) == (202, "inspecting", address)
    wait_until(lambda: client.get(address).json()["status"] == "ready")
    assert client.get(address).json()["sample"] is None
    assert client.post(f"{address}/inspect").json()["status"] == "ready"


@pytest.mark.parametrize(("fault", "again"), [("system", 202), ("user", 409)])
def test_what_ended_by_the_systems_fault_is_read_again_and_refused_data_is_not(
    client: TestClient, inspector: Inspector, fault: str, again: int
) -> None:
    error = {"code": "internal_error", "fault": fault, "message": "It ended.", "remedy": "", "details": {}}
    inspector.verdict = None  # one that comes before the answer would be the answer
    body = {"mode": "stream", "shards": URL}
    made = client.post("/datasets", json=body, headers={"Prefer": "wait=0"})
    assert made.status_code == 202, made.text
    inspector.verdict = lambda row: ("invalid", {"error": error})
    address = f"/datasets/{made.json()['id']}"
    wait_until(lambda: client.get(address).json()["status"] == "invalid")
    inspector.verdict = lambda row: ("ready", {"report": {"classes": ["cat", "dog"], "counts": {}}})
    assert client.post(f"{address}/inspect").status_code == again
    if again == 202:
        wait_until(lambda: client.get(address).json()["status"] == "ready")
        assert client.get(address).json()["error"] is None


def test_what_is_refused_at_once(client: TestClient) -> None:
    def of(*numbers: int) -> list[str]:
        return [f"https://data.example.org/{number:03}.tar" for number in numbers]

    refused: list[tuple[dict[str, Any], str, str]] = [
        ({"shards": "https://example.org/{0..3}.tar"}, "url_refused", "/shards"),
        ({"shards": ["https://data.example.org/0.tar", "http://169.254.169.254/1.tar"]}, "url_refused", "/shards"),
        ({"shards": "/etc/{0..3}.tar"}, "url_refused", "/shards"),
        ({"shards": "s3://photos/*.tar"}, "url_refused", "/shards"),
        ({"shards": "https://data.example.org/photos/"}, "url_refused", "/shards"),
        ({"shards": "hf://datasets/a/b@main/*.parquet"}, "url_refused", "/shards"),
        ({"shards": of(0, 1, 3)}, "invalid_dataset", "/shards"),
        ({"train_shards": of(0, 0)}, "invalid_dataset", "/train_shards"),
        ({"shards": "https://data.example.org/{9..1}.tar"}, "invalid_dataset", "/shards"),
        ({"shards": "https://data.example.org/{0..99999999}.tar"}, "invalid_dataset", "/shards"),
        ({"shards": "https://data.example.org/{0..999}{0..999}.tar"}, "invalid_dataset", "/shards"),
        ({"shards": "https://data.example.org/{0..3}.tar.gz"}, "invalid_dataset", "/shards"),
        ({"test_shards": URL}, "invalid_request", "/shards"),
        ({"shards": URL, "train_shards": URL}, "invalid_request", "/shards"),
        ({"shards": []}, "invalid_request", "/shards"),
        ({"shards": URL, "classes": ["a"]}, "invalid_request", "/classes"),
        ({"shards": URL, "classes": ["a", "b", "a"]}, "invalid_dataset", "/classes"),
        ({"shards": "https://data.example.org/{train,val}.tar"}, "invalid_dataset", "/shards"),
        ({"shards": [f"https://data.example.org/{n}-of-4.parquet" for n in (0, 1, 3)]}, "invalid_dataset", "/shards"),
        ({"shards": URL, "classes_from": "folders"}, "invalid_request", "/classes_from"),
        ({}, "invalid_request", "/shards"),
        ({"shards": URL, "mode": "copy"}, "invalid_request", "/mode"),
        ({"reference": {"url": URL}}, "invalid_request", "/reference"),
    ]
    for body, code, pointer in refused:
        answer = client.post("/datasets", json={"mode": "stream"} | body)
        found = problem(answer, 422, code)
        assert {each.rpartition("/str")[0] or each.rpartition("/list")[0] or each for each in pointers(found)} == {
            pointer
        }, (body, found)
    assert client.get("/datasets").json()["items"] == []
