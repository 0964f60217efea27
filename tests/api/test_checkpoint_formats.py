"""Checkpoints that are not one safetensors file, through the whole embedded service: converted in a sandbox, or refused
with nothing run and nothing left."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save

from distill.models import build
from distill.types import Architecture
from tests.api.checks import pointers, problem
from tests.converter.hostile import CORPUS
from tests.embedded.service import Service

pytestmark = pytest.mark.long

NAME, OPTIONS = "retort:resnet8", {"width": 4}
INDEX = "model.safetensors.index.json"
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("formats") / "data")
    yield service
    service.end()


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    client = service.client()
    yield client
    client.close()


@pytest.fixture
def stored(service: Service) -> Callable[[], dict[str, bytes]]:
    """Every file of the service by its path, but its database and what other tests' datasets keep."""
    folder = Path(service.log.with_suffix(""))
    datasets = folder / "objects" / "datasets"

    def files() -> dict[str, bytes]:
        parts = [folder / part for part in ("objects", "scratch", "incoming")]
        found = [path for part in parts for path in part.rglob("*") if path.is_file() and datasets not in path.parents]
        return {str(path.relative_to(folder)): path.read_bytes() for path in found}

    return files


def state() -> dict[str, torch.Tensor]:
    network = build(Architecture.model_validate({"name": NAME, "options": OPTIONS}), 10, 1)
    return {name: tensor.contiguous() for name, tensor in network.state_dict().items()}


STATE = state()


def saved(value: Any, legacy: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def shards() -> Files:
    """Two shards and their index, as transformers names them."""
    names = sorted(STATE)
    halves = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    files = {file: save({name: STATE[name] for name in members}) for file, members in halves.items()}
    weight_map = {name: file for file, members in halves.items() for name in members}
    return files | {INDEX: json.dumps({"weight_map": weight_map}).encode()}


def zipped(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: Files, mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def post(client: httpx.Client, files: Files, **data: str) -> httpx.Response:
    form = {"architecture": NAME, "options": json.dumps(OPTIONS)} | data
    return client.post("/teachers", data=form, files=[("file", item) for item in files.items()])


GOOD: dict[str, Callable[[], Files]] = {
    "torch.save": lambda: {"model.pt": saved(STATE)},
    "old torch.save": lambda: {"model.pth": saved(STATE, legacy=True)},
    "training checkpoint": lambda: {"pytorch_model.bin": saved({"model": STATE, "epoch": 3, "lr": 0.1})},
    "shards": shards,
    "zip of shards": lambda: {"model.zip": zipped(shards())},
    "tar.gz of shards": lambda: {"model.tar.gz": tarred(shards(), "w:gz")},
}

#: Each costs a process that imports torch; the others are in `make test-slow`, and read by tests/converter anyway.
FAST = {"old torch.save", "training checkpoint", "shards"}


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=() if kind in FAST else pytest.mark.slow) for kind in GOOD])
def test_a_checkpoint_of_any_format_becomes_a_teacher(
    client: httpx.Client, stored: Callable[[], dict[str, bytes]], kind: str
) -> None:
    files = GOOD[kind]()
    answer = post(client, files)
    assert answer.status_code == 201, answer.text
    teacher = answer.json()
    assert (teacher["status"], teacher["report"]["num_classes"]) == ("ready", 10)
    sent = {file["filename"]: (file["size_bytes"], file["sha256"]) for file in teacher["source"]["files"]}
    assert sent == {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()}
    assert teacher["source"]["isolation"]
    assert ("'model'" in " ".join(teacher["source"]["notes"])) == (kind == "training checkpoint")
    kept = stored()
    assert list(kept) == [f"objects/teachers/{teacher['id']}/weights.safetensors"]  # and nothing of what was sent
    weights = next(iter(kept.values()))
    assert (teacher["sha256"], teacher["size_bytes"]) == (hashlib.sha256(weights).hexdigest(), len(weights))
    found = load_tensors(weights)
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in STATE.items())
    assert client.get(f"/teachers/{teacher['id']}").json() == teacher
    assert client.delete(f"/teachers/{teacher['id']}").status_code == 204
    assert stored() == {}


def uploaded(client: httpx.Client, name: str, content: bytes) -> str:
    body = {"filename": name, "size_bytes": len(content), "purpose": "teacher"}
    made = client.post("/uploads", json=body).raise_for_status().json()
    client.put(f"/uploads/{made['id']}/parts/1", content=content).raise_for_status()
    assert client.post(f"/uploads/{made['id']}/complete").json()["status"] == "complete"
    return str(made["id"])


@pytest.mark.parametrize("kind", ["shards", pytest.param("torch.save", marks=pytest.mark.slow)])
def test_uploads_of_any_format_become_a_teacher(
    client: httpx.Client, stored: Callable[[], dict[str, bytes]], kind: str
) -> None:
    ids = [uploaded(client, name, content) for name, content in GOOD[kind]().items()]
    given: dict[str, Any] = {"upload": ids[0]} if len(ids) == 1 else {"uploads": ids}
    wrong = client.post("/teachers", json=given | {"architecture": "retort:resnet14"})
    problem(wrong, 422, "invalid_teacher")  # a refusal gives the uploads back
    answer = client.post("/teachers", json=given | {"architecture": NAME, "options": OPTIONS})
    assert answer.status_code == 201, answer.text
    teacher = answer.json()
    assert list(stored()) == [f"objects/teachers/{teacher['id']}/weights.safetensors"]
    assert {client.get(f"/uploads/{each}").json()["resource"] for each in ids} == {teacher["id"]}
    again = client.post("/teachers", json=given | {"architecture": NAME, "options": OPTIONS})
    problem(again, 409, "upload_used")
    assert client.delete(f"/teachers/{teacher['id']}").status_code == 204
    assert stored() == {}


def test_a_converted_teacher_does_what_teachers_do(client: httpx.Client) -> None:
    """A job reads the converted weights and scores their layers."""
    teacher = post(client, GOOD["training checkpoint"]()).raise_for_status().json()["id"]
    config = {"layers": 1, "quality_samples": 50, "train_limit": 100, "test_limit": 20, "max_steps": 2}
    body = {"teacher": teacher, "dataset": {"named": "digits"}, "student": {"name": NAME, "options": OPTIONS}}
    job = client.post("/jobs", json=body | {"config": config}).raise_for_status().json()
    while job["status"] not in {"succeeded", "failed"}:
        job = client.get(f"/jobs/{job['id']}", headers={"Prefer": "wait=60"}).json()
    assert job["status"] == "succeeded", job["error"]
    assert client.delete(f"/jobs/{job['id']}").status_code == 204
    assert client.delete(f"/teachers/{teacher}").status_code == 204


INCOMPLETE: dict[str, tuple[Callable[[], Files], str]] = {
    "a shard is missing": (lambda: dict(list(shards().items())[1:]), "shards that are not there"),
    "no index": (lambda: {name: data for name, data in shards().items() if name != INDEX}, "no index"),
    "one shard alone": (lambda: dict(list(shards().items())[:1]), "missing"),
    "whole model": (lambda: {"m.pt": saved(torch.nn.Linear(2, 2))}, "torch.nn"),
    "other weights": (lambda: {"m.pt": saved({"w": torch.zeros(3)})}, "does not fit"),
    "not a number": (lambda: {"m.pt": saved({n: t * float("nan") for n, t in STATE.items()})}, "NaN"),
}


@pytest.mark.parametrize("kind", INCOMPLETE)
def test_what_does_not_convert_says_why_and_leaves_nothing(
    client: httpx.Client, stored: Callable[[], dict[str, bytes]], kind: str
) -> None:
    make, says = INCOMPLETE[kind]
    document = problem(post(client, make()), 422, "invalid_teacher")
    assert says in document["detail"] + str(document["details"])
    assert document["remedy"]
    assert stored() == {}
    assert client.get("/teachers").json()["items"] == []


@pytest.mark.parametrize("name", ["..", "a/../..", ".hidden", "a b", "a\u202eb", "", "x" * 300])
def test_shards_under_names_that_are_no_files_are_refused_at_once(client: httpx.Client, name: str) -> None:
    content = save({"w": torch.zeros(1)})
    answer = post(client, {name: content, "b.safetensors": content})
    assert answer.status_code in {400, 422}, answer.text
    problem(answer, answer.status_code)
    assert client.get("/teachers").json()["items"] == []


def test_two_shards_of_one_name_are_refused(client: httpx.Client) -> None:
    content = save({"w": torch.zeros(1)})
    answer = client.post("/teachers", data={"architecture": NAME}, files=[("file", ("a.safetensors", content))] * 2)
    assert pointers(problem(answer, 422, "invalid_teacher")) == {"/file"}


HOSTILE = [
    *("zip_os_system", "legacy_eval", "zip_laughs_as_key", "zip_storage_claims_more", "member_twice", "deflated_bomb"),
    *("old_tar", "noise"),
]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_checkpoints_are_refused_and_run_nothing(
    client: httpx.Client, stored: Callable[[], dict[str, bytes]], name: str, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    content = CORPUS[name](tmp_path, canary).read_bytes()
    document = problem(post(client, {"model.bin": content}), 422, "invalid_teacher")
    assert document["remedy"]
    assert not canary.exists()
    assert stored() == {}
    assert client.get("/teachers").json()["items"] == []
    assert client.get("/readyz").status_code == 200


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_whole_hostile_corpus_is_refused_and_the_service_goes_on(
    client: httpx.Client, stored: Callable[[], dict[str, bytes]], tmp_path: Path
) -> None:
    files = [name for name in CORPUS if name not in {"is_link", "is_a_link", "is_a_pipe", "is_missing"}]
    for number, name in enumerate(files):
        (folder := tmp_path / str(number)).mkdir()
        test_hostile_checkpoints_are_refused_and_run_nothing(client, stored, name, folder)
    test_a_checkpoint_of_any_format_becomes_a_teacher(client, stored, "torch.save")
    print(f"{len(files)} hostile checkpoints refused")
