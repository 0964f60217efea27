"""Datasets of which a role came as several files, uploads or parts of a form: from the request, by a real inspector, to
what a job reads."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from distill.data.limits import DEFAULT
from distill.modalities.images.kinds.parquet import open_parquet
from distill.modalities.images.kinds.shards import open_shards
from distill.modalities.images.shards.cache import FOLDER
from store.backup.references import references
from store.database import Database
from store.dataset_digest import dataset_digest
from store.objects import FolderStore
from store.settings import Settings
from store.tables import Dataset
from tests.api.checks import pointers, problem
from tests.api.driver import Driver, Inspector
from tests.data.files import image_bytes, write_tar
from tests.data.shard_files import sample, write_parquet_shards, write_shards
from worker.inspecting.inspections import Inspections
from worker.inspecting.process import COMMAND
from worker.jobs.supplied import suppliers_of
from worker.transfer import inputs
from worker.transfer.fetching import Fetcher
from worker.transfer.supplier import Store

AT_ONCE = {"Prefer": "wait=0"}


def uploaded(client: TestClient, name: str, content: bytes, purpose: str = "dataset") -> str:
    body = {"filename": name, "size_bytes": len(content), "purpose": purpose}
    made = client.post("/uploads", json=body).raise_for_status().json()
    client.put(f"/uploads/{made['id']}/parts/1", content=content).raise_for_status()
    assert client.post(f"/uploads/{made['id']}/complete", headers={"Prefer": "wait=60"}).json()["status"] == "complete"
    return str(made["id"])


def of_files(client: TestClient, *paths: Path) -> list[str]:
    return [uploaded(client, path.name, path.read_bytes()) for path in paths]


class World:
    """A worker's inspections and a job's inputs beside the API."""

    def __init__(self, settings: Settings, database: Database, objects: FolderStore, folder: Path) -> None:
        self.settings, self.database, self.objects, self.folder = settings, database, objects, folder

    def inspected(self, client: TestClient, body: Mapping[str, Any] | None = None, **form: Any) -> Any:
        """The dataset once a real inspector has looked at it."""
        made = client.post("/datasets", json=body, headers=AT_ONCE, **form)
        assert made.status_code == 202, made.text
        leaving = threading.Event()
        assert Inspections(self.settings, self.database, self.objects, "wrk_test", leaving, COMMAND).run_next()
        return client.get(f"/datasets/{made.json()['id']}").json()

    def samples(self, job_id: str) -> dict[str, list[bytes]]:
        """Split -> contents, as the job's trainer reads them."""
        folder = self.folder / job_id / "inputs"
        folder.mkdir(parents=True)
        fetcher = Fetcher(self.objects, folder, lambda: None, lambda level, message: None)
        with self.database.read() as session:
            needed = inputs.read(session, job_id)
        dataset = inputs.fetch_all(needed, fetcher).dataset
        suppliers = suppliers_of(self.settings, self.objects, needed, fetcher, Store.of_machine(self.settings))
        try:
            read = open_shards if suppliers else open_parquet
            splits = read(dataset, DEFAULT, folder).splits
            return {name: [part.images.content(i) for i in range(len(part.images))] for name, part in splits.items()}
        finally:
            for supplier in suppliers:
                supplier.close()


@pytest.fixture
def world(settings: Settings, database: Database, objects: FolderStore, tmp_path: Path) -> World:
    return World(settings, database, objects, tmp_path / "work")


def shas(paths: list[Path]) -> list[tuple[str, int, str]]:
    read = [(path.name, path.read_bytes()) for path in paths]
    return [(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in read]


def images(numbers: range) -> set[bytes]:
    return {sample(number)[f"{number:05}.jpg"] for number in numbers}


def test_three_tars_become_what_a_job_reads_and_deleting_them_frees_all(
    client: TestClient, driver: Driver, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path / "cache"))
    paths = sorted(write_shards(tmp_path / "shards", 3, 8).iterdir())
    write_tar(tmp_path / "again.tar", sample(50) | sample(3))
    ids, again = of_files(client, *paths), of_files(client, tmp_path / "again.tar")
    refused = world.inspected(client, {"train": [*ids, *again]})
    assert (refused["status"], refused["error"]["code"]) == ("invalid", "invalid_dataset")
    assert (refused["error"]["details"]["shard"], refused["error"]["details"]["key"]) == ("again.tar", "00003")
    assert "000000.tar" in refused["error"]["message"]
    assert client.delete(f"/datasets/{refused['id']}").status_code == 204

    beside = sorted(write_shards(tmp_path / "beside", 1, 4, name="beside-{}.tar").iterdir())
    write_tar(beside[0], {f"u{name}": data for number in range(60, 64) for name, data in sample(number).items()})
    ids, unlabelled = of_files(client, *paths), of_files(client, *beside)
    found = world.inspected(client, {"train": ids[:2], "test": ids[2], "unlabelled": unlabelled})
    assert (found["status"], found["error"], found["kind"], found["mode"]) == ("ready", None, "shards", "copy")
    assert (found["task"], found["shards"], found["name"]) == ("classify_images", None, "000000.tar")
    files = ("train/0000", "train/0001", "test/0000", "unlabelled/0000")
    named = [found["files"][name] for name in files]
    assert [(file["filename"], file["size_bytes"], file["sha256"]) for file in named] == shas([*paths, *beside])
    assert set(found["files"]) == {*files, "index"}
    assert found["report"]["without_label"]["train"] == 4
    assert found["size_bytes"] == sum(file["size_bytes"] for file in found["files"].values())
    with world.database.read() as session:
        row = session.get_one(Dataset, found["id"])
        kept = {each.key for each in references("datasets", vars(row))}
    assert {file["object_key"] for file in row.files.values()} < kept == {*kept} & set(world.objects.keys(""))

    read = world.samples(driver.job(dataset_id=found["id"]))
    assert (len(read["train"]), len(read["test"])) == (20, 8)
    assert set(read["train"]) == images(range(16)) | images(range(60, 64))
    assert set(read["test"]) == images(range(16, 24))
    assert client.post("/datasets", json={"train": ids}).json()["code"] == "upload_used"
    with world.database.write() as session:
        for job in client.get("/jobs").json()["items"]:
            session.delete(session.get_one(inputs.Job, job["id"]))
    assert client.delete(f"/datasets/{found['id']}").status_code == 204
    assert not list(world.objects.keys("datasets/"))
    assert {client.get(f"/uploads/{each}").status_code for each in ids} == {404}


def test_parquet_files_are_read_as_one_split_in_the_order_given(
    client: TestClient, driver: Driver, world: World, tmp_path: Path
) -> None:
    paths = sorted(write_parquet_shards(tmp_path / "p", 3, 8, names=["cat", "dog", "bird"]).iterdir())
    body = {"train": of_files(client, paths[1], paths[0]), "test": of_files(client, paths[2])[0]}
    keyed = AT_ONCE | {"Idempotency-Key": "k"}
    made = client.post("/datasets", json=body, headers=keyed)
    same = client.post("/datasets", json=body, headers=keyed)
    assert same.json()["id"] == made.json()["id"]
    problem(
        client.post("/datasets", json={"train": body["train"]}, headers=keyed),
        422, "idempotency_key_reused",
    )  # fmt: skip
    leaving = threading.Event()
    assert Inspections(world.settings, world.database, world.objects, "wrk_test", leaving, COMMAND).run_next()
    found = client.get(f"/datasets/{made.json()['id']}").json()
    assert (found["status"], found["error"], found["kind"]) == ("ready", None, "parquet")
    assert [len(found["files"]), found["report"]["classes"]] == [3, ["cat", "dog", "bird"]]
    read = world.samples(driver.job(dataset_id=found["id"]))
    wanted = [sample(number)[f"{number:05}.jpg"] for number in (*range(8, 16), *range(8))]
    assert read["train"] == wanted
    assert set(read["test"]) == images(range(16, 24))


def parts(*given: tuple[str, Path]) -> list[tuple[str, tuple[str, bytes]]]:
    return [(role, (path.name, path.read_bytes())) for role, path in given]


def test_parts_of_a_form_are_what_uploads_of_them_are(
    client: TestClient, driver: Driver, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path / "cache"))
    paths = sorted(write_shards(tmp_path / "shards", 3, 8).iterdir())
    form = parts(("train", paths[0]), ("test", paths[2]), ("train", paths[1]))
    found = world.inspected(client, files=form, data={"name": "sent", "labels": '{"team": "vision"}'})
    assert (found["status"], found["error"], found["kind"], found["name"]) == ("ready", None, "shards", "sent")
    ids = of_files(client, *paths)
    same = world.inspected(client, {"train": ids[:2], "test": ids[2], "name": "sent"})
    told = ("files", "digest", "report", "task")
    for each in (found, same):  # an index has a place of its own
        each["files"].pop("index")
    assert {name: found[name] for name in told} == {name: same[name] for name in told}
    assert found["labels"] == {"team": "vision"}
    read = world.samples(driver.job(dataset_id=found["id"]))
    assert (set(read["train"]), set(read["test"])) == (images(range(16)), images(range(16, 24)))


def test_what_is_told_of_the_classes_of_tars_holds_as_for_streamed_ones(
    client: TestClient, world: World, tmp_path: Path
) -> None:
    tars = sorted(write_shards(tmp_path / "t", 2, 8).iterdir())
    names = ["cat", "dog", "bird"]
    sent = world.inspected(client, {"upload": of_files(client, *tars), "classes": names})
    assert (sent["status"], sent["error"], sent["report"]["classes"]) == ("ready", None, names)
    assert (sent["mode"], sent["shards"]["given"], sent["shards"]["classes"]) == ("copy", {}, names)
    files = {name: file for name, file in sent["files"].items() if name != "index"}
    assert sent["digest"] == dataset_digest(files, None, "", sent["shards"]) != dataset_digest(files, None)
    few = world.inspected(client, files=parts(("file", tars[0])), data={"classes": json.dumps(names[:2])})
    assert (few["kind"], set(few["files"])) == ("shards", {"all/0000"})
    assert (few["status"], few["error"]["details"]["shard"]) == ("invalid", tars[0].name)

    for name, numbers in (("n01", range(9)), ("n02", range(20, 29))):
        write_tar(tmp_path / f"{name}.tar", {f"{name}_{n}.jpg": image_bytes(n, (8, 8), form="JPEG") for n in numbers})
    own = [tmp_path / "n01.tar", tmp_path / "n02.tar"]
    found = world.inspected(client, {"upload": of_files(client, *own), "classes_from": "shards"})
    assert (found["error"], found["report"]["classes"]) == (None, ["n01", "n02"])

    table = next(write_parquet_shards(tmp_path / "p", 1, 4).iterdir())
    for path in (table, tars[0]):
        made = client.post("/datasets", files=parts(("file", path)), data={"classes": '["a", "a"]'})
        assert pointers(problem(made, 422, "invalid_dataset")) == {"/classes"}
    made = client.post("/datasets", files=parts(("train", table)), data={"classes_from": "none"})
    assert pointers(problem(made, 422, "invalid_dataset")) == {"/train/0"}
    beside = parts(("train", tars[0]), ("unlabelled", tars[1]))
    made = client.post("/datasets", files=beside, data={"classes_from": "shards"})
    assert pointers(problem(made, 422, "invalid_request")) == {"/classes_from"}


def test_parts_of_a_form_are_refused_as_uploads_are(client: TestClient, inspector: Inspector, tmp_path: Path) -> None:
    tars = sorted(write_shards(tmp_path / "t", 2, 2).iterdir())
    table = next(write_parquet_shards(tmp_path / "p", 1, 4).iterdir())
    (tmp_path / "x.zip").write_bytes(archive())
    refused = [
        (("file", "file", "file"), (*tars, tars[0]), "invalid_dataset", "/file/2", tars[0].name),
        (("train", "train"), (tars[0], table), "invalid_dataset", "/train/1", table.name),
        (("train", "train", "test"), (*tars, table), "invalid_dataset", "/test/0", table.name),
        (("train", "train"), (tars[0], tmp_path / "x.zip"), "invalid_dataset", "/train/1", "x.zip"),
        (("test", "test"), tars, "invalid_request", "/file", None),
        (("file", "file", "train"), (*tars, table), "invalid_request", "/file", None),
        (("train", "train", "photos", "photos"), (*tars, *tars), "invalid_request", "/photos", None),
    ]
    for roles, paths, code, pointer, name in refused:
        found = problem(client.post("/datasets", files=parts(*zip(roles, paths, strict=True))), 422, code)
        assert pointers(found) == {pointer}, (roles[:4], found)
        assert found.get("details", {}).get("filename") == name
    many = problem(client.post("/datasets", files=[("train", ("0.tar", b"x"))] * 1025), 422, "invalid_request")
    assert pointers(many) == {"/train"}
    assert client.get("/datasets").json()["items"] == []
    again = {"Idempotency-Key": "k"}
    form = parts(("train", tars[0]), ("train", tars[1]))
    made = [client.post("/datasets", files=form, headers=again).json()["id"] for _ in range(2)]
    assert made[0] == made[1]
    problem(client.post("/datasets", files=form[::-1], headers=again), 422, "idempotency_key_reused")


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("a/1.png", b"x")
    return buffer.getvalue()


def test_what_is_refused_at_once(client: TestClient, inspector: Inspector, tmp_path: Path) -> None:
    tars = sorted(write_shards(tmp_path / "t", 2, 2).iterdir())
    parquet = sorted(write_parquet_shards(tmp_path / "p", 1, 4).iterdir())
    a, b, same, p = of_files(client, *tars, tars[0], *parquet)
    zipped, text = uploaded(client, "x.zip", archive()), uploaded(client, "x.tar", b"no tar at all")
    teacher = uploaded(client, "t", b"x", "teacher")
    refused: list[tuple[dict[str, Any], str, str, str | None]] = [
        ({"train": [a, b, a]}, "invalid_request", "/train/2", None),
        ({"train": [a], "test": a}, "invalid_request", "/test/0", None),
        ({"upload": [a, same]}, "invalid_dataset", "/upload/1", tars[0].name),
        ({"train": [a, p]}, "invalid_dataset", "/train/1", parquet[0].name),
        ({"train": [a], "test": [p]}, "invalid_dataset", "/test/0", parquet[0].name),
        ({"train": [a, zipped]}, "invalid_dataset", "/train/1", "x.zip"),
        ({"train": [text, a]}, "invalid_dataset", "/train/0", "x.tar"),
        ({"train": [a, "upl_none"]}, "invalid_request", "/train/1", None),
        ({"train": [a, teacher]}, "invalid_request", "/train/1", None),
        ({"test": [a]}, "invalid_request", "/upload", None),
        ({"upload": [a], "train": [b]}, "invalid_request", "/upload", None),
    ]
    for body, code, pointer, name in refused:
        found = problem(client.post("/datasets", json=body), 422, code)
        assert pointers(found) == {pointer}, (body, found)
        assert found.get("details", {}).get("filename") == name
    for body in ({"train": []}, {"train": [f"upl_{number}" for number in range(1025)]}):
        problem(client.post("/datasets", json=body), 422, "invalid_request")
    assert client.get("/datasets").json()["items"] == []
    assert client.get(f"/uploads/{a}").json()["status"] == "complete"
