"""POST, GET, DELETE of teachers and datasets."""

from __future__ import annotations

import io
import json
import os
import struct
import tarfile
import threading
import time
import zipfile
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from store.objects import FolderStore
from store.settings import Settings
from tests.api.checks import pointers, problem
from tests.api.driver import Driver, Inspector, refuse


def safetensors(values: int = 4) -> bytes:
    """A file of one float32 tensor."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4 * values)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/1.png", b"x")
    return buffer.getvalue()


def tarred(mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        archive.addfile(tarfile.TarInfo("a/1.png"))
    return bytes(buffer.getvalue())


def post_teacher(client: TestClient, content: bytes | None = None, **data: Any) -> Any:
    headers = data.pop("headers", {})
    files = {"file": ("model.safetensors", safetensors() if content is None else content)}
    return client.post("/teachers", data={"architecture": "timm:resnet34"} | data, files=files, headers=headers)


def nothing_left(client: TestClient, objects: FolderStore, settings: Settings) -> None:
    assert client.get("/teachers").json()["items"] == []
    assert client.get("/datasets").json()["items"] == []
    assert list(objects.keys("")) == []
    uploads = settings.incoming
    assert not uploads.exists() or list(uploads.iterdir()) == []


@pytest.mark.usefixtures("inspector")
def test_a_teacher_is_registered_shown_listed_and_deleted(
    client: TestClient, driver: Driver, objects: FolderStore, settings: Settings
) -> None:
    answer = post_teacher(client, name="ours", labels='{"team": "vision"}', options='{"width": 8}')
    assert answer.status_code == 201, answer.text
    teacher = answer.json()
    assert answer.headers["location"] == f"/teachers/{teacher['id']}"
    assert teacher["status"] == "ready"
    assert teacher["report"] == {"num_classes": 10}
    assert teacher["architecture"] == {"name": "timm:resnet34", "options": {"width": 8}}
    assert (teacher["name"], teacher["labels"]) == ("ours", {"team": "vision"})
    assert client.get(answer.headers["location"]).json() == teacher
    assert client.get("/teachers").json() == {"items": [teacher], "next_cursor": None}
    assert [objects.size(key) for key in objects.keys("teachers/")] == [len(safetensors())]
    assert client.delete(f"/teachers/{teacher['id']}").status_code == 204
    problem(client.get(f"/teachers/{teacher['id']}"), 404, "not_found")
    nothing_left(client, objects, settings)


TOLD = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2], "input_size": 32, "channel_order": "BGR"}


@pytest.mark.usefixtures("inspector", "driver")
def test_how_a_teacher_sees_is_told_and_kept(client: TestClient) -> None:
    made = post_teacher(client, preprocessing=json.dumps(TOLD)).json()
    empty = dict.fromkeys(("interpolation", "crop_pct"))
    assert made["preprocessing"] == TOLD | empty
    assert client.get(f"/teachers/{made['id']}").json()["preprocessing"] == TOLD | empty
    assert post_teacher(client).json()["preprocessing"] is None
    assert post_teacher(client, preprocessing="{}").json()["preprocessing"] is None


@pytest.mark.usefixtures("inspector", "driver")
@pytest.mark.parametrize(
    ("told", "pointer"),
    [
        ({"std": [0.2, 0, 0.2]}, "/preprocessing/std/1"),
        ({"mean": [123.7, 116.3, 103.5]}, "/preprocessing/mean/0"),
        ({"mean": [0.1, 0.2]}, "/preprocessing"),
        ({"interpolation": "lanczos"}, "/preprocessing/interpolation"),
        ({"size": 32}, "/preprocessing/size"),
    ],
)
def test_a_wrong_preprocessing_is_pointed_at(client: TestClient, told: dict[str, Any], pointer: str) -> None:
    assert pointer in pointers(problem(post_teacher(client, preprocessing=json.dumps(told)), 422))


@pytest.mark.usefixtures("inspector", "driver")
@pytest.mark.parametrize(
    ("given", "resolved"),
    [("resnet34", "timm:resnet34"), ("resnet8", "retort:resnet8"), ("timm:resnet34.a1_in1k", "timm:resnet34.a1_in1k")],
)
def test_an_architecture_may_be_named_without_its_library(client: TestClient, given: str, resolved: str) -> None:
    assert post_teacher(client, architecture=given).json()["architecture"]["name"] == resolved


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "0 bytes"),
        (b"\x89PNG is no checkpoint of any sort", "would have"),
        (safetensors()[:-1], "truncated"),
        (safetensors() + b"x", "follow"),
    ],
)
def test_what_is_no_safetensors_file_is_refused_at_once(
    client: TestClient, objects: FolderStore, settings: Settings, content: bytes, says: str
) -> None:
    document = problem(post_teacher(client, content), 422, "invalid_teacher")
    assert says in document["detail"]
    assert pointers(document) == {"/file"}
    nothing_left(client, objects, settings)


@pytest.mark.usefixtures("driver")
def test_a_checkpoint_that_inspection_refuses_leaves_nothing(
    client: TestClient, inspector: Inspector, objects: FolderStore, settings: Settings
) -> None:
    inspector.verdict = refuse
    document = problem(post_teacher(client, headers={"Idempotency-Key": "k"}), 422, "invalid_teacher")
    assert document["details"] == {"missing": ["fc.weight"]}
    nothing_left(client, objects, settings)
    inspector.verdict = lambda row: ("ready", {"report": {}})
    assert post_teacher(client, headers={"Idempotency-Key": "k"}).status_code == 201


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("code", "fault", "status"),
    [
        ("invalid_teacher", "user", 422),
        ("quota_exceeded", "user", 403),
        ("reference_unavailable", "system", 502),
        ("name_not_resolved", "system", 502),
        ("input_damaged", "system", 500),
    ],
)
def test_an_inspections_error_answers_with_whose_fault_it_is(
    client: TestClient, inspector: Inspector, code: str, fault: str, status: int
) -> None:
    error = {
        "code": code,
        "message": "It did not come.",
        "remedy": "Look there.",
        "fault": fault,
        "retryable": fault == "system",
    }
    inspector.verdict = lambda row: ("invalid", {"error": error})
    document = problem(post_teacher(client), status, code)
    assert (document["fault"], document["retryable"]) == (fault, fault == "system")


@pytest.mark.usefixtures("driver")
def test_a_registration_nobody_inspects_in_time_is_accepted(client: TestClient, inspector: Inspector) -> None:
    inspector.verdict = None
    answer = post_teacher(client, headers={"Prefer": "wait=0"})
    assert answer.status_code == 202
    assert answer.json()["status"] == "inspecting"
    assert answer.headers["retry-after"]
    assert client.get(answer.headers["location"]).json()["status"] == "inspecting"


@pytest.mark.usefixtures("driver", "inspector")
def test_the_same_key_registers_once(client: TestClient, objects: FolderStore) -> None:
    first = post_teacher(client, headers={"Idempotency-Key": "once"})
    again = post_teacher(client, headers={"Idempotency-Key": "once"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len(list(objects.keys(""))) == 1
    other = post_teacher(client, safetensors(5), headers={"Idempotency-Key": "once"})
    problem(other, 422, "idempotency_key_reused")
    assert len(list(objects.keys(""))) == 1


@pytest.mark.usefixtures("driver")
def test_unknown_architecture_names_near_ones(client: TestClient) -> None:
    document = problem(post_teacher(client, architecture="timm:resnet43"), 422, "unknown_name")
    assert "timm:resnet34" in document["remedy"]
    assert pointers(document) == {"/architecture"}


def test_before_any_worker_nothing_can_be_checked(client: TestClient) -> None:
    problem(post_teacher(client), 503, "no_catalogue")
    problem(client.post("/datasets", json={"named": "digits"}), 503, "no_catalogue")


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({"architecture": ""}, "/architecture"),
        ({"options": "{"}, "/options"),
        ({"options": '{"width": null}'}, "/options/width"),
        ({"labels": '{"a b": "c"}'}, "/labels/a b"),
        ({"labels": '{"a": "\\u0000"}'}, "/labels/a"),
        ({"surprise": "x"}, "/surprise"),
    ],
)
def test_bad_form_fields_are_pointed_at(client: TestClient, data: dict[str, str], pointer: str) -> None:
    assert pointer in pointers(problem(post_teacher(client, **data), 422))


@pytest.mark.usefixtures("driver")
def test_too_large_an_upload_is_refused(client: TestClient, objects: FolderStore, settings: Settings) -> None:
    document = problem(post_teacher(client, bytes(settings.max_upload_bytes + 200_000)), 413, "payload_too_large")
    assert document["details"] == {"max_upload_bytes": settings.max_upload_bytes}

    def chunks() -> Any:  # without a Content-Length the bytes themselves must be counted
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        for _ in range(40):
            yield bytes(1 << 16)

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    problem(client.post("/teachers", content=chunks(), headers=headers), 413, "payload_too_large")
    nothing_left(client, objects, settings)


@pytest.mark.parametrize("body", [b"--b\r\n", b"nothing", b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx'])
def test_broken_multipart_is_a_400(client: TestClient, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    problem(client.post("/teachers", content=body, headers=headers), 400, "malformed_multipart")


def test_a_boundary_of_kilobytes_is_a_400(client: TestClient) -> None:
    headers = {"Content-Type": f"multipart/form-data; boundary={'b' * 3000}"}
    problem(client.post("/teachers", content=b"--b", headers=headers), 400, "malformed_multipart")


@pytest.mark.parametrize("path", ["/teachers", "/datasets"])
def test_other_media_types_are_a_415(client: TestClient, path: str) -> None:
    problem(client.post(path, content=b"x", headers={"Content-Type": "text/plain"}), 415)
    problem(client.post(path, content=b"x"), 415)
    problem(client.post(path, content=b"{", headers={"Content-Type": "application/json"}), 400, "malformed_json")


@pytest.mark.usefixtures("inspector")
def test_a_finished_student_becomes_a_teacher_that_outlives_its_job(
    client: TestClient, driver: Driver, objects: FolderStore
) -> None:
    job_id = driver.job()
    problem(client.post("/teachers", json={"artifact": {"job_id": job_id}}), 409, "job_not_succeeded")
    driver.succeed(job_id, safetensors())
    answer = client.post("/teachers", json={"artifact": {"job_id": job_id}, "name": "from a job"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["architecture"]["name"] == "retort:resnet8"
    assert client.delete(f"/jobs/{job_id}").status_code == 204
    assert [objects.size(key) for key in objects.keys("")] == [len(safetensors())]
    missing = client.post("/teachers", json={"artifact": {"job_id": job_id}})
    assert pointers(problem(missing, 422)) == {"/artifact/job_id"}


def test_an_artifact_without_weights_is_no_teacher(client: TestClient, driver: Driver) -> None:
    job_id = driver.job()
    driver.succeed(job_id)
    for name in ("report.md", "nothing.safetensors"):
        answer = client.post("/teachers", json={"artifact": {"job_id": job_id, "name": name}})
        assert pointers(problem(answer, 422)) == {"/artifact/name"}


@pytest.mark.usefixtures("inspector")
def test_a_named_dataset_needs_no_upload(client: TestClient, driver: Driver) -> None:
    answer = client.post("/datasets", json={"named": "digits"})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["kind"], answer.json()["report"]) == ("named", {"classes": 10})
    document = problem(client.post("/datasets", json={"named": "digit"}), 422, "unknown_name")
    assert "digits" in document["remedy"]


@pytest.mark.usefixtures("inspector", "driver")
@pytest.mark.parametrize(
    ("content", "kind", "suffix"),
    [
        (zipped(), "archive", "zip"),
        (tarred("w"), "archive", "tar"),
        (tarred("w:gz"), "archive", "tar"),
        (b"PAR1" + bytes(20) + b"PAR1", "parquet", "parquet"),
    ],
    ids=["zip", "tar", "tar.gz", "parquet"],  # a name made of content with a time in it changes every second
)
def test_the_kind_of_a_dataset_is_its_content(
    client: TestClient, objects: FolderStore, content: bytes, kind: str, suffix: str
) -> None:
    answer = client.post("/datasets", files={"file": ("photos.bin", content)})
    assert answer.status_code == 201, answer.text
    assert answer.json()["kind"] == kind
    assert answer.json()["files"]["all"]["filename"] == "photos.bin"
    assert "object_key" not in answer.json()["files"]["all"]
    assert next(objects.keys("datasets/")).endswith(f"/all.{suffix}")


@pytest.mark.usefixtures("inspector", "driver")
def test_train_and_test_files_make_one_dataset(client: TestClient, objects: FolderStore) -> None:
    answer = client.post("/datasets", files={"train": ("a", zipped()), "test": ("b", zipped())})
    assert sorted(answer.json()["files"]) == ["test", "train"]
    assert len(list(objects.keys("datasets/"))) == 2
    assert client.delete(answer.headers["location"]).status_code == 204
    assert list(objects.keys("")) == []


@pytest.mark.parametrize(
    ("files", "pointer"),
    [
        ({"file": ("a", b"no archive")}, "/file"),
        ({"file": ("a", b"")}, "/file"),
        ({"train": ("a", zipped()), "test": ("b", b"PAR1PAR1")}, "/test"),
        ({"file": ("a", zipped()), "train": ("b", zipped())}, "/file"),
        ({"test": ("a", zipped())}, "/file"),
        ({"other": ("a", zipped())}, "/other"),
    ],
    ids=["no archive", "empty", "two kinds", "whole and part", "test only", "unknown"],
)
def test_bad_dataset_files_are_pointed_at(
    client: TestClient, objects: FolderStore, settings: Settings, files: dict[str, Any], pointer: str
) -> None:
    assert pointers(problem(client.post("/datasets", files=files), 422)) == {pointer}
    nothing_left(client, objects, settings)


@pytest.mark.usefixtures("driver")
def test_a_dataset_that_inspection_refuses_leaves_nothing(
    client: TestClient, inspector: Inspector, objects: FolderStore, settings: Settings
) -> None:
    inspector.verdict = refuse
    problem(client.post("/datasets", files={"file": ("a.zip", zipped())}), 422, "invalid_dataset")
    nothing_left(client, objects, settings)


def test_what_jobs_use_is_not_deleted(client: TestClient, driver: Driver) -> None:
    teacher_id, dataset_id = driver.teacher(), driver.dataset()
    job_id = driver.job(teacher_id=teacher_id, dataset_id=dataset_id)
    for path in (f"/teachers/{teacher_id}", f"/datasets/{dataset_id}"):
        document = problem(client.delete(path), 409, "in_use")
        assert document["details"] == {"jobs": [job_id]}
    assert client.delete(f"/jobs/{job_id}?cancel=true").status_code == 204
    assert client.delete(f"/teachers/{teacher_id}").status_code == 204
    assert client.delete(f"/datasets/{dataset_id}").status_code == 204


@pytest.mark.usefixtures("driver")
def test_a_post_answers_as_soon_as_the_inspection_ends(client: TestClient, inspector: Inspector) -> None:
    inspector.verdict = None

    def later() -> None:
        time.sleep(0.2)
        inspector.verdict = lambda row: ("ready", {"report": {}})
        inspector.doorbell.ring("teacher", "now")

    threading.Thread(target=later).start()
    answer = post_teacher(client, headers={"Prefer": "wait=20"})
    assert answer.status_code == 201
    assert answer.headers["preference-applied"] == "wait=20"


def test_lists_page_by_keyset(client: TestClient, driver: Driver) -> None:
    made = [driver.dataset() for _ in range(5)]
    first = client.get("/datasets?limit=2").json()
    driver.dataset()  # an insert between two pages moves nothing
    second = client.get(f"/datasets?limit=2&cursor={first['next_cursor']}").json()
    last = client.get(f"/datasets?limit=2&cursor={second['next_cursor']}").json()
    listed = [row["id"] for page in (first, second, last) for row in page["items"]]
    assert listed == made[::-1]
    assert last["next_cursor"] is None
    assert pointers(problem(client.get("/datasets?cursor=!!"), 422)) == {"/cursor"}
    assert pointers(problem(client.get("/datasets?limit=0"), 422)) == {"/limit"}


def test_what_a_killed_process_left_is_removed_at_start(app: FastAPI, settings: Settings) -> None:
    old, young = settings.incoming / "old", settings.incoming / "young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "part1").touch()
    os.utime(old, (0, 0))
    with TestClient(app):
        assert not old.exists()
        assert young.exists()


HUB = {"huggingface": {"repo_id": "owner/tiny", "revision": "a" * 40}, "architecture": "timm:resnet34"}


@pytest.mark.usefixtures("driver", "inspector")
def test_the_hub_is_closed_unless_the_operator_opens_it(client: TestClient) -> None:
    document = problem(client.post("/teachers", json=HUB), 422, "url_refused")
    assert pointers(document) == {"/huggingface"}
    assert "RETORT_HUGGINGFACE=true" in document["remedy"]


@pytest.mark.usefixtures("driver", "inspector")
def test_a_repository_is_named_with_its_whole_commit(client: TestClient, settings: Settings) -> None:
    settings.huggingface = True
    made = client.post("/teachers", json=HUB, headers={"Prefer": "wait=5"})
    assert made.status_code == 201, made.text
    assert made.json()["name"] == "owner/tiny"
    assert made.json()["source"]["huggingface"] == HUB["huggingface"]
    for wrong in ("main", "a" * 39, "A" * 40, "a" * 39 + "/"):
        body = HUB | {"huggingface": {"repo_id": "owner/tiny", "revision": wrong}}
        assert pointers(problem(client.post("/teachers", json=body), 422)) == {"/huggingface/revision"}
    for wrong in ("tiny", "../tiny", "owner/..", "a/b/c", "owner/ti ny", "owner/tiny?x"):
        body = HUB | {"huggingface": {"repo_id": wrong, "revision": "a" * 40}}
        assert pointers(problem(client.post("/teachers", json=body), 422)) == {"/huggingface/repo_id"}
    assert client.delete(made.headers["location"]).status_code == 204
