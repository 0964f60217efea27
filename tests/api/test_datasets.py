"""What is particular to datasets: formats by content, references, thumbnails."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from fastapi.testclient import TestClient

from store.database import Database
from store.objects import FolderStore
from store.settings import Settings
from store.tables import Dataset
from store.thumbnails import object_key
from tests.api.checks import pointers, problem
from tests.api.driver import Driver, Inspector
from worker.transfer.fetching import Fetcher
from worker.transfer.inputs import dataset_input

SHEET = b"RIFF\x04\0\0\0WEBP"
LAYOUT = {"rows": 2, "columns": 8, "tile": 64, "size_bytes": len(SHEET), "sha256": sha256(SHEET).hexdigest()}


@pytest.mark.usefixtures("inspector")
@pytest.mark.parametrize(
    ("content", "form"),
    [
        (b"image,label\nAAAA,1\n", "csv"),
        (b"\xef\xbb\xbfimage;label\nAAAA;1\n", "csv"),
        (b"image\tlabel\n" + "Grüße".encode() * 800, "csv"),  # cut within a character
        (b'{"image": "AAAA", "label": 1}\n', "jsonl"),
        (b'\n  {"image": "AAAA", "label": 1}\n', "jsonl"),
    ],
)
def test_tables_are_known_by_their_content(client: TestClient, content: bytes, form: str) -> None:
    answer = client.post("/datasets", files={"file": ("misleading.zip", content)})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["kind"], answer.json()["files"]["all"]["format"]) == ("table", form)


@pytest.mark.parametrize("content", [b"", b"hello", b"a,b\0", b"\xff\xfea\0,\0", b"BZh91AY&SY", b"\xfd7zXZ\0\0"])
def test_other_files_are_refused_at_once(client: TestClient, content: bytes) -> None:
    answer = client.post("/datasets", files={"train": ("a.csv", content)})
    assert pointers(problem(answer, 422, "invalid_dataset")) == {"/train"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_text_in_another_encoding_is_refused_at_once_by_its_name(client: TestClient, encoding: str) -> None:
    answer = client.post("/datasets", files={"train": ("a.csv", "text,label\ncaf\u00e9,a\n".encode(encoding))})
    found = problem(answer, 422, "invalid_dataset")
    assert "UTF-8" in found["remedy"]
    assert {"cp1252": "CP1252"}.get(encoding, encoding[:6].upper()) in found["detail"]


@pytest.mark.usefixtures("inspector")
class TestPixelRange:
    TABLE: ClassVar[bytes] = b"image,label\nAAAA,1\n"

    def test_is_kept_given_to_the_worker_and_part_of_the_digest(self, client: TestClient, database: Database) -> None:
        plain, ranged = (
            client.post("/datasets", files={"file": ("a.csv", self.TABLE)}, data=data).json()
            for data in ({}, {"pixel_range": "[0, 4095]"})
        )
        assert (plain["pixel_range"], ranged["pixel_range"]) == (None, [0, 4095])
        assert plain["digest"] != ranged["digest"]
        with database.read() as session:
            row = session.get_one(Dataset, ranged["id"])
            session.expunge(row)
            row.files = {}
            assert dataset_input(row, cast("Fetcher", None)).pixel_range == (0, 4095)
        assert client.get(f"/datasets/{ranged['id']}").json()["pixel_range"] == [0, 4095]

    @pytest.mark.parametrize(
        "given", ["[0]", "[5, 5]", "[0, 70000]", "[-1, 5]", '"auto"', "[0, 1.5]", "{", "[0, 1, 2]"]
    )
    def test_what_is_none_is_refused(self, client: TestClient, given: str) -> None:
        data = {"pixel_range": given}
        answer = client.post("/datasets", files={"file": ("a.csv", self.TABLE)}, data=data)
        assert all(at.startswith("/pixel_range") for at in pointers(problem(answer, 422, "invalid_request")))

    def test_so_is_what_the_numbers_of_boxes_are(self, client: TestClient, database: Database) -> None:
        plain, told = (
            client.post("/datasets", files={"file": ("a.csv", self.TABLE)}, data=data).json()
            for data in ({}, {"box_format": "cxcywh_relative"})
        )
        assert (plain["box_format"], told["box_format"]) == ("", "cxcywh_relative")
        assert plain["digest"] != told["digest"]
        with database.read() as session:
            row = session.get_one(Dataset, told["id"])
            session.expunge(row)
            row.files = {}
            assert dataset_input(row, cast("Fetcher", None)).box_format == "cxcywh_relative"
        answer = client.post("/datasets", files={"file": ("a.csv", self.TABLE)}, data={"box_format": "xyhw"})
        assert pointers(problem(answer, 422, "invalid_request")) == {"/box_format"}

    def test_named_sets_have_none(self, client: TestClient) -> None:
        answer = client.post("/datasets", json={"named": "digits", "pixel_range": [0, 4095]})
        assert pointers(problem(answer, 422, "invalid_request")) == {"/pixel_range"}


class TestReferences:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(data_dir=tmp_path / "data", inspect_wait_seconds=5, dataset_hosts="data.example.org")

    def test_are_given_to_a_worker(self, client: TestClient, inspector: Inspector, database: Database) -> None:
        seen: list[tuple[str, Any]] = []

        def look(row: Any) -> tuple[str, dict[str, Any]]:
            seen.append((row.kind, row.files))
            return "ready", {"report": {"classes": ["a", "b"]}, "kind": "archive"}

        inspector.verdict = look
        url, digest = "https://data.example.org/flowers.zip?v=1", "a" * 64
        answer = client.post("/datasets", json={"reference": {"url": url, "sha256": digest}})
        assert answer.status_code == 201, answer.text
        assert seen == [("reference", {"all": {"url": url, "filename": "flowers.zip", "expected_sha256": digest}})]
        assert (answer.json()["name"], answer.json()["kind"]) == ("flowers.zip", "archive")

    def test_by_split(self, client: TestClient, inspector: Inspector) -> None:
        body = {f"{role}_reference": {"url": f"https://data.example.org/{role}.csv"} for role in ("train", "test")}
        answer = client.post("/datasets", json=body | {"name": "n"})
        assert answer.status_code == 201, answer.text
        assert {role: file["filename"] for role, file in answer.json()["files"].items()} == {
            "train": "train.csv",
            "test": "test.csv",
        }

    @pytest.mark.parametrize(
        ("body", "code", "pointer"),
        [
            ({"reference": {"url": "https://example.org/a.zip"}}, "url_refused", "/reference/url"),
            ({"reference": {"url": "http://data.example.org/a.zip"}}, "url_refused", "/reference/url"),
            ({"train_reference": {"url": "s3://retort/a.zip"}}, "url_refused", "/train_reference/url"),
            (
                {"reference": {"url": "https://data.example.org/a", "sha256": "x"}},
                "invalid_request",
                "/reference/sha256",
            ),
            ({"test_reference": {"url": "https://data.example.org/a"}}, "invalid_request", "/reference"),
            ({"reference": "https://data.example.org/a"}, "invalid_request", "/reference"),
            ({"reference": {"url": "https://data.example.org/a"}, "upload": "u"}, "invalid_request", "/upload"),
        ],
    )
    def test_that_are_refused(self, client: TestClient, body: dict[str, Any], code: str, pointer: str) -> None:
        answer = client.post("/datasets", json=body)
        assert pointers(problem(answer, 422, code)) == {pointer}
        assert client.get("/datasets").json()["items"] == []

    def test_a_refused_one_leaves_nothing(
        self, client: TestClient, inspector: Inspector, objects: FolderStore, tmp_path: Path
    ) -> None:
        def refuse(row: Any) -> tuple[str, dict[str, Any]]:
            (tmp_path / "fetched").write_bytes(b"x")
            objects.put(f"datasets/{row.id}/all.fetched", tmp_path / "fetched")
            error = {"code": "invalid_dataset", "message": "It answered 404.", "remedy": "Look."}
            return "invalid", {"error": error}

        inspector.verdict = refuse
        answer = client.post("/datasets", json={"reference": {"url": "https://data.example.org/a.zip"}})
        assert problem(answer, 422, "invalid_dataset")
        assert list(objects.keys("")) == []

    def test_one_that_passes_the_quota_is_answered_as_an_upload_would_be(
        self, client: TestClient, inspector: Inspector
    ) -> None:
        details = {"quota": "stored_bytes", "limit": 2, "used": 1, "wanted": 2}
        error = {"code": "quota_exceeded", "message": "It is too much.", "remedy": "Delete.", "fault": "user"}
        inspector.verdict = lambda row: ("invalid", {"error": error | {"details": details}})
        answer = client.post("/datasets", json={"reference": {"url": "https://data.example.org/a.zip"}})
        assert problem(answer, 403, "quota_exceeded")["details"] == details
        assert client.get("/datasets").json()["items"] == []


def with_sheet(driver: Driver, objects: FolderStore, folder: Path) -> str:
    dataset_id = driver.dataset(report={"classes": ["a", "b"], "thumbnails": LAYOUT})
    (folder / "sheet").write_bytes(SHEET)
    objects.put(object_key(dataset_id), folder / "sheet")
    return dataset_id


def test_thumbnails(client: TestClient, driver: Driver, objects: FolderStore, tmp_path: Path) -> None:
    dataset_id = with_sheet(driver, objects, tmp_path)
    layout = client.get(f"/datasets/{dataset_id}").json()["thumbnails"]
    assert layout == LAYOUT | {"href": f"/datasets/{dataset_id}/thumbnails"}
    answer = client.get(layout["href"])
    assert (answer.status_code, answer.content) == (200, SHEET)
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("inline")
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert answer.headers["etag"] == f'"{LAYOUT["sha256"]}"'
    again = client.get(layout["href"], headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_deleting_a_dataset_takes_its_thumbnails(
    client: TestClient, driver: Driver, objects: FolderStore, tmp_path: Path
) -> None:
    dataset_id = with_sheet(driver, objects, tmp_path)
    assert client.delete(f"/datasets/{dataset_id}").status_code == 204
    assert list(objects.keys("")) == []


def test_a_dataset_without_thumbnails(client: TestClient, driver: Driver) -> None:
    dataset_id = driver.dataset()
    assert client.get(f"/datasets/{dataset_id}").json()["thumbnails"] is None
    assert problem(client.get(f"/datasets/{dataset_id}/thumbnails"), 404, "not_found")


def test_what_a_row_keeps_of_its_files_is_not_shown(client: TestClient, driver: Driver, database: Database) -> None:
    file = {"object_key": "datasets/x/all.zip", "size_bytes": 1, "sha256": "0" * 64, "filename": "a.zip"}
    dataset_id = driver.dataset(kind="archive", files={"all": file})
    with database.read() as session:
        assert session.get_one(Dataset, dataset_id).files["all"]["object_key"]
    assert "object_key" not in client.get(f"/datasets/{dataset_id}").text


@pytest.mark.usefixtures("inspector")
def test_a_part_without_labels_is_given_to_a_worker(client: TestClient, database: Database) -> None:
    """Beside the labelled parts, or alone; not beside a test part alone."""
    part = ("x.jsonl", b'{"image": "AAAA"}\n')
    for files in ({"file": part, "unlabelled": part}, {"train": part, "unlabelled": part}, {"unlabelled": part}):
        made = client.post("/datasets", files=files)
        assert made.status_code == 201, made.text
        roles = {"all" if role == "file" else role for role in files}
        assert made.json()["files"].keys() == roles
        with database.read() as session:
            assert session.get_one(Dataset, made.json()["id"]).files.keys() == roles
    assert pointers(problem(client.post("/datasets", files={"test": part, "unlabelled": part}), 422, "invalid_request"))
