"""Uploads from their first part to the teacher or dataset that they become, in both storage modes."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from api.resources.uploads import finishing
from api.resources.uploads.layout import MAX_PARTS, MIB, Layout, layout
from store import expiry
from store.objects import Part
from store.repositories import uploads
from store.repositories.leases import LeaseLost
from store.tables import Upload
from tests.api.checks import pointers, problem
from tests.api.driver import refuse
from tests.api.modes import MODES, Service, serving, settings_of
from tests.api.test_registration import safetensors, zipped
from worker.slots.housekeeping import Housekeeping

PART = 5 * MIB  # the least that S3 servers take
CONTENT = bytes(range(256)) * (PART // 256) + b"the end"


@pytest.fixture(params=MODES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    settings = settings_of(request.param, request, tmp_path, upload_part_bytes=PART)
    with serving(request.param, settings, tmp_path) as running:
        yield running


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def begin(service: Service, content: bytes = CONTENT, **values: Any) -> dict[str, Any]:
    body = {"filename": "f.bin", "size_bytes": len(content), "purpose": "teacher", "direct": False} | values
    answer = service.client.post("/uploads", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/uploads/{made['id']}"
    return made


def parts(service: Service, made: dict[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = service.client.get(f"/uploads/{made['id']}/parts").json()["items"]
    return items


def send(service: Service, made: dict[str, Any], content: bytes = CONTENT) -> None:
    """Every part that is missing, to wherever it is to go."""
    for part in parts(service, made):
        if not part["received"]:
            piece = content[part["offset"] : part["offset"] + part["size_bytes"]]
            put = httpx.put if part["url"].startswith("http") else service.client.put
            answer = put(part["url"], content=piece)
            assert answer.status_code == 200, answer.text


def complete(service: Service, made: dict[str, Any], **headers: str) -> httpx.Response:
    return service.client.post(f"/uploads/{made['id']}/complete", headers=headers)


def uploaded(service: Service, content: bytes, **values: Any) -> str:
    made = begin(service, content, **values)
    send(service, made, content)
    answer = complete(service, made)
    assert answer.status_code == 200, answer.text
    upload_id: str = answer.json()["id"]
    return upload_id


def nothing_left(service: Service) -> None:
    assert service.client.get("/uploads").json()["items"] == []
    assert list(service.objects.keys("")) == []
    assert not service.settings.incoming.exists() or list(service.settings.incoming.iterdir()) == []
    if service.mode == "embedded":
        assert list((service.settings.data_dir / "objects" / ".parts").glob("*")) == []


@pytest.mark.parametrize("direct", [True, False])
def test_parts_arrive_and_are_verified(service: Service, direct: bool) -> None:
    made = begin(service, sha256=sha256(CONTENT), direct=direct)
    assert made["direct"] == (direct and service.mode == "full")
    assert (made["status"], made["parts"], made["part_bytes"]) == ("open", 2, PART)
    first, last = parts(service, made)
    assert (first["offset"], first["size_bytes"], last["offset"], last["size_bytes"]) == (0, PART, PART, 7)
    assert not first["received"]
    assert first["url"].startswith("http") == made["direct"]
    send(service, made)
    assert [part["received"] for part in parts(service, made)] == [True, True]
    answer = complete(service, made)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["sha256"]) == ("complete", sha256(CONTENT))
    assert complete(service, made).json() == answer.json()  # again is no error
    assert service.client.get(f"/uploads/{made['id']}").json() == answer.json()
    assert [part["url"] for part in parts(service, made)] == [None, None]
    (key,) = service.objects.keys("")
    assert b"".join(service.objects.read(key)) == CONTENT
    problem(service.client.put(f"/uploads/{made['id']}/parts/1", content=b"x" * PART), 409, "upload_not_open")
    assert service.client.delete(f"/uploads/{made['id']}").status_code == 204
    nothing_left(service)


def test_an_interrupted_upload_goes_on(service: Service) -> None:
    made = begin(service)
    service.client.put(f"/uploads/{made['id']}/parts/2", content=b"the end")
    document = problem(complete(service, made), 409, "parts_missing")
    assert document["details"]["missing"] == [1]
    assert [part["received"] for part in parts(service, made)] == [False, True]
    assert service.client.get(f"/uploads/{made['id']}").json()["status"] == "open"
    send(service, made)
    assert complete(service, made).json()["sha256"] == sha256(CONTENT)


def test_joining_that_broke_off_is_taken_up(service: Service) -> None:
    """The process died between joining the parts and writing that it had."""
    made = begin(service)
    send(service, made)
    with service.database.write() as session:
        token = uploads.claim(session, made["id"], 60)
        row = session.get_one(Upload, made["id"])
        session.expunge(row)
    assert token
    context: Any = service.client.app.state.context  # type: ignore[attr-defined]
    finishing.join(context, row)
    answer = complete(service, made, Prefer="wait=0")
    assert (answer.status_code, answer.json()["status"]) == (202, "completing")
    assert answer.headers["retry-after"]
    with service.database.write() as session:
        uploads.renew(session, made["id"], token, -1)
    assert complete(service, made).json()["sha256"] == sha256(CONTENT)


def test_joined_but_open_again_is_completed(service: Service) -> None:
    """The store went away after joining, before the bytes were read back."""
    made = begin(service)
    send(service, made)
    context: Any = service.client.app.state.context  # type: ignore[attr-defined]
    with service.database.read() as session:
        finishing.join(context, session.get_one(Upload, made["id"]))
    assert [part["received"] for part in parts(service, made)] == [True, True]
    assert complete(service, made).json()["sha256"] == sha256(CONTENT)


def test_an_upload_that_the_store_has_forgotten(service: Service) -> None:
    """A bucket's rule aborts what takes too long."""
    made = begin(service)
    send(service, made)
    with service.database.read() as session:
        row = session.get_one(Upload, made["id"])
        service.objects.parts.abort(row.object_key, row.handle)
    path = f"/uploads/{made['id']}/parts"
    for answer in (service.client.get(path), service.client.put(f"{path}/2", content=b"the end")):
        problem(answer, 409, "upload_forgotten")
    problem(complete(service, made), 409, "upload_forgotten")
    assert service.client.get(f"/uploads/{made['id']}").json()["status"] == "open"
    assert service.client.delete(f"/uploads/{made['id']}").status_code == 204
    nothing_left(service)


def test_a_completion_that_lost_its_turn_leaves_the_upload_alone(service: Service) -> None:
    made = begin(service)
    send(service, made)
    context: Any = service.client.app.state.context  # type: ignore[attr-defined]
    with service.database.write() as session:
        assert uploads.claim(session, made["id"], -1)  # whose lease has ended while it waited
        row = session.get_one(Upload, made["id"])
        session.expunge(row)
    with pytest.raises(LeaseLost):
        finishing.finish(context, row, "lse_of_another")
    assert complete(service, made).json()["status"] == "complete"


def test_other_bytes_than_declared_end_the_upload(service: Service) -> None:
    made = begin(service, sha256=sha256(b"something else"))
    send(service, made)
    document = problem(complete(service, made), 422, "checksum_mismatch")
    assert document["details"]["received"] == sha256(CONTENT)
    assert service.client.get(f"/uploads/{made['id']}").json()["status"] == "failed"
    problem(complete(service, made), 409, "upload_failed")
    body = {"upload": made["id"], "architecture": "timm:resnet34"}
    problem(service.client.post("/teachers", json=body), 409, "upload_not_complete")
    assert service.client.delete(f"/uploads/{made['id']}").status_code == 204
    nothing_left(service)


def test_a_part_has_exactly_its_size(service: Service) -> None:
    made = begin(service)
    path = f"/uploads/{made['id']}/parts"

    def chunked(content: bytes) -> Iterator[bytes]:
        yield content  # without a Content-Length

    for content in (b"", b"the en", b"the end."):
        problem(service.client.put(f"{path}/2", content=content), 400, "wrong_part_size")
        problem(service.client.put(f"{path}/2", content=chunked(content)), 400, "wrong_part_size")
    problem(service.client.put(f"{path}/3", content=b"x"), 404)
    assert pointers(problem(service.client.put(f"{path}/0", content=b"x"), 422)) == {"/number"}
    right, wrong = (base64.b64encode(hashlib.sha256(c).digest()).decode() for c in (b"the end", b"other"))
    refused = service.client.put(f"{path}/2", content=b"the end", headers={"Content-Digest": f"sha-256=:{wrong}:"})
    problem(refused, 422, "digest_mismatch")
    assert not any(part["received"] for part in parts(service, made))
    taken = service.client.put(f"{path}/2", content=b"the end", headers={"Content-Digest": f"sha-256=:{right}:"})
    assert taken.json()["received"]
    assert service.client.delete(f"/uploads/{made['id']}").status_code == 204
    nothing_left(service)


def test_an_upload_becomes_a_teacher_and_goes_with_it(service: Service) -> None:
    upload_id = uploaded(service, safetensors(1_400_000), filename="model.safetensors")
    body = {"upload": upload_id, "architecture": "resnet34", "labels": {"team": "vision"}}
    answer = service.client.post("/teachers", json=body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201, answer.text
    teacher = answer.json()
    assert (teacher["name"], teacher["status"]) == ("model.safetensors", "ready")
    assert (teacher["sha256"], teacher["labels"]) == (sha256(safetensors(1_400_000)), {"team": "vision"})
    upload = service.client.get(f"/uploads/{upload_id}").json()
    assert (upload["status"], upload["resource"]) == ("used", teacher["id"])
    again = service.client.post("/teachers", json=body, headers={"Idempotency-Key": "k"})
    assert (again.json(), again.headers["idempotency-replayed"]) == (teacher, "true")
    problem(service.client.post("/teachers", json=body), 409, "upload_used")
    problem(service.client.delete(f"/uploads/{upload_id}"), 409, "upload_in_use")
    assert service.client.delete(f"/teachers/{teacher['id']}").status_code == 204
    nothing_left(service)


def test_a_refused_checkpoint_need_not_be_sent_again(service: Service) -> None:
    upload_id = uploaded(service, safetensors())
    service.inspector.verdict = refuse
    body = {"upload": upload_id, "architecture": "timm:resnet34"}
    problem(service.client.post("/teachers", json=body), 422, "invalid_teacher")
    assert service.client.get("/teachers").json()["items"] == []
    assert service.client.get(f"/uploads/{upload_id}").json()["status"] == "complete"
    service.inspector.verdict = lambda row: ("ready", {"report": {}})
    assert service.client.post("/teachers", json=body).status_code == 201


@pytest.mark.parametrize("content", [b"\x89PNG no pickle", safetensors()[:-1], b"x", b"\xff" * 4000])
def test_what_is_no_safetensors_file_is_refused_at_once(service: Service, content: bytes) -> None:
    upload_id = uploaded(service, content)
    body = {"upload": upload_id, "architecture": "timm:resnet34"}
    assert pointers(problem(service.client.post("/teachers", json=body), 422, "invalid_teacher")) == {"/upload"}
    assert service.client.get(f"/uploads/{upload_id}").json()["status"] == "complete"


def test_uploads_become_a_dataset(service: Service) -> None:
    train, test = (uploaded(service, zipped(), purpose="dataset", filename=name) for name in ("a.zip", "b.zip"))
    answer = service.client.post("/datasets", json={"train": train, "test": test, "name": "ours"})
    assert answer.status_code == 201, answer.text
    files = answer.json()["files"]
    assert {role: (file["filename"], file["format"]) for role, file in files.items()} == {
        "train": ("a.zip", "zip"),
        "test": ("b.zip", "zip"),
    }
    archive = zipped()
    whole = uploaded(service, archive, purpose="dataset")
    single = service.client.post("/datasets", json={"upload": whole})
    multipart = service.client.post("/datasets", files={"file": ("f.bin", archive)})
    assert single.json()["digest"] == multipart.json()["digest"]
    for made in (answer, single, multipart):
        assert service.client.delete(made.headers["location"]).status_code == 204
    nothing_left(service)


def test_wrong_uploads_are_pointed_at(service: Service) -> None:
    client, architecture = service.client, {"architecture": "timm:resnet34"}
    unknown = client.post("/teachers", json={"upload": "upl_none", **architecture})
    assert pointers(problem(unknown, 422)) == {"/upload"}
    unfinished = begin(service)["id"]
    problem(client.post("/teachers", json={"upload": unfinished, **architecture}), 409, "upload_not_complete")
    dataset = uploaded(service, b"neither", purpose="dataset")
    assert pointers(problem(client.post("/teachers", json={"upload": dataset, **architecture}), 422)) == {"/upload"}
    assert pointers(problem(client.post("/datasets", json={"upload": dataset}), 422)) == {"/upload"}
    assert pointers(problem(client.post("/datasets", json={"test": dataset}), 422)) == {"/upload"}
    assert pointers(problem(client.post("/datasets", json={"upload": dataset, "more": 1}), 422)) == {"/more"}
    twice = client.post("/datasets", json={"train": dataset, "test": dataset})
    assert twice.status_code in {409, 422}


def test_one_upload_is_used_once(service: Service) -> None:
    both = uploaded(service, zipped(), purpose="dataset")
    problem(service.client.post("/datasets", json={"train": both, "test": both}), 409, "upload_used")
    assert service.client.get(f"/uploads/{both}").json()["status"] == "complete"
    answers: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(service.client.post("/datasets", json={"upload": both}).status_code)
        )
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 409, 409, 409, 409]


def test_the_same_key_begins_one_upload(service: Service) -> None:
    body = {"filename": "f", "size_bytes": 10, "purpose": "teacher"}
    first = service.client.post("/uploads", json=body, headers={"Idempotency-Key": "k"})
    again = service.client.post("/uploads", json=body, headers={"Idempotency-Key": "k"})
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = service.client.post("/uploads", json=body | {"size_bytes": 11}, headers={"Idempotency-Key": "k"})
    problem(other, 422, "idempotency_key_reused")
    assert len(service.client.get("/uploads").json()["items"]) == 1


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"size_bytes": 0}, "/size_bytes"),
        ({"filename": ""}, "/filename"),
        ({"purpose": "other"}, "/purpose"),
        ({"sha256": "A" * 64}, "/sha256"),
        ({"more": 1}, "/more"),
        ({"direct": 0}, "/direct"),
        ({"size_bytes": True}, "/size_bytes"),
    ],
)
def test_a_bad_beginning_is_pointed_at(service: Service, values: dict[str, Any], pointer: str) -> None:
    body = {"filename": "f", "size_bytes": 10, "purpose": "teacher"} | values
    assert pointers(problem(service.client.post("/uploads", json=body), 422)) == {pointer}
    huge = service.client.post("/uploads", json=body | {"size_bytes": service.settings.max_upload_bytes + 1})
    assert huge.status_code == (413 if pointer == "/size_bytes" else 422)
    nothing_left(service)


def test_abandoned_uploads_are_removed_by_the_worker(service: Service) -> None:
    """Open ones with their parts, complete ones with their bytes; those in use stay."""
    opened, used = begin(service), uploaded(service, safetensors())
    complete_one = uploaded(service, b"never used")
    answer = service.client.post("/teachers", json={"upload": used, "architecture": "timm:resnet34"})
    send(service, opened)
    house = Housekeeping(service.settings, service.database, service.objects, "wrk_test", lambda: None)
    house.round()
    assert len(service.client.get("/uploads").json()["items"]) == 3
    with service.database.write() as session:
        session.execute(update(Upload).values(expires_at=Upload.created_at))
    house.round()
    assert [row["id"] for row in service.client.get("/uploads").json()["items"]] == [used]
    assert complete_one != used
    assert [service.objects.size(key) for key in service.objects.keys("")] == [len(safetensors())]
    assert service.client.delete(answer.headers["location"]).status_code == 204
    nothing_left(service)


def test_work_on_an_upload_puts_its_end_off(service: Service) -> None:
    made = begin(service)
    with service.database.write() as session:
        session.execute(update(Upload).values(expires_at=Upload.created_at))
    send(service, made)
    assert expiry.sweep(service.database, service.objects) == []
    assert complete(service, made).status_code == 200


def test_what_is_being_verified_is_not_removed(service: Service) -> None:
    made = begin(service)
    with service.database.write() as session:
        assert uploads.claim(session, made["id"], 60)
        session.execute(update(Upload).values(expires_at=Upload.created_at))
    assert expiry.sweep(service.database, service.objects) == []
    problem(service.client.delete(f"/uploads/{made['id']}"), 409, "upload_in_use")


@given(st.integers(1, 2**50), st.integers(2**16, 2**33))
def test_parts_cover_the_file(size_bytes: int, part_bytes: int) -> None:
    cut = layout(size_bytes, part_bytes)
    assert 1 <= cut.count <= MAX_PARTS
    assert cut.part_bytes >= part_bytes
    assert cut.offset(1) == 0
    assert cut.offset(cut.count) + cut.size(cut.count) == size_bytes
    assert 1 <= cut.size(cut.count) <= cut.part_bytes


def test_missing_parts_by_number_and_size() -> None:
    cut = Layout(25, 10)
    arrived = [Part(1, 10), Part(2, 9), Part(3, 5), Part(4, 10)]
    assert list(cut.missing(arrived)) == [2]
    assert cut.complete(arrived) == {1, 3}
    assert list(cut.missing([])) == [1, 2, 3]
