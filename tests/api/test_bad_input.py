"""Bad input against the whole embedded service: a clear problem document, and nothing left behind."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save

from distill.models import build
from distill.types import Architecture
from tests.api.checks import pointers, problem
from tests.embedded.service import Service, wait_for

pytestmark = pytest.mark.long

STUDENT = {"name": "retort:resnet8", "options": {"width": 4}}
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("bad") / "data")
    yield service
    service.end()


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    client = service.client()
    yield client
    client.close()


@pytest.fixture
def stored(service: Service, client: httpx.Client) -> Callable[[], set[str]]:
    """Every file of the service but its database: objects and uploads on their way."""
    folder = Path(service.log.with_suffix(""))

    def files() -> set[str]:
        found = [
            path for part in ("objects", "scratch", "incoming") for path in (folder / part).rglob("*") if path.is_file()
        ]
        return {str(path) for path in found}

    return files


def weights(classes: int = 10) -> Weights:
    architecture = Architecture.model_validate(STUDENT)
    return {name: tensor.contiguous() for name, tensor in build(architecture, classes, 1).state_dict().items()}


def first(tensors: Weights, suffix: str = "weight") -> str:
    return next(name for name in tensors if name.endswith(suffix))


def post_teacher(client: httpx.Client, tensors: Weights) -> httpx.Response:
    data = {"architecture": STUDENT["name"], "options": '{"width": 4}'}
    return client.post("/teachers", data=data, files={"file": ("t.safetensors", save(tensors))})


def without(tensors: Weights) -> str:
    name = first(tensors)
    del tensors[name]
    return name


def with_another(tensors: Weights) -> str:
    tensors["surprise.weight"] = torch.zeros(1)
    return "surprise.weight"


def reshaped(tensors: Weights) -> str:
    name = first(tensors)
    tensors[name] = torch.zeros(1, 2, 3, 4)
    return name


def not_a_number(tensors: Weights) -> str:
    name = first(tensors)
    tensors[name].view(-1)[0] = float("nan")
    return name


@pytest.mark.parametrize("spoil", [without, with_another, reshaped, not_a_number])
def test_a_checkpoint_that_does_not_fit_names_the_tensor(
    client: httpx.Client, stored: Callable[[], set[str]], spoil: Callable[[Weights], str]
) -> None:
    before, tensors = stored(), weights()
    name = spoil(tensors)
    document = problem(post_teacher(client, tensors), 422, "invalid_teacher")
    assert name in document["detail"] + str(document["details"])
    assert stored() == before
    assert client.get("/teachers").json()["items"] == []


def png(value: int = 0) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(value).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def with_link() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        link = tarfile.TarInfo("a/1.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


GOOD = {f"{label}/{number}.png": png(number) for label in "ab" for number in range(6)}
HOSTILE: dict[str, Callable[[], bytes]] = {
    "climbs": lambda: zipped({**GOOD, "../evil.png": png()}),
    "links": with_link,
    "bomb": lambda: zipped({**GOOD, "a/bomb.png": bytes(300_000_000)}),
    "no class folders": lambda: zipped(
        {f"{number}.png": png(number) for number in range(6)} | {"about.csv": b"name\nx\n"}
    ),
    "one class": lambda: zipped({name: content for name, content in GOOD.items() if name.startswith("a")}),
    "unreadable": lambda: zipped(dict.fromkeys(GOOD, b"no image")),
    "cut off": lambda: zipped(GOOD)[:-30],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_dataset_that_cannot_be_used_leaves_nothing(
    client: httpx.Client, stored: Callable[[], set[str]], kind: str
) -> None:
    before = stored()
    answer = client.post("/datasets", files={"file": ("photos.zip", HOSTILE[kind]())})
    document = problem(answer, 422, "invalid_dataset")
    assert document["remedy"]
    assert stored() == before
    assert client.get("/datasets").json()["items"] == []


def test_a_teacher_of_other_classes_than_the_dataset_is_refused_at_once(client: httpx.Client) -> None:
    teacher = post_teacher(client, weights(classes=7)).raise_for_status().json()["id"]
    body = {"teacher": teacher, "dataset": {"named": "digits"}, "student": STUDENT, "config": {"recipe": "logit"}}
    document = problem(client.post("/jobs", json=body), 422, "classes_differ")
    assert document["details"] == {"teacher_classes": 7, "dataset_classes": 10}
    assert client.delete(f"/teachers/{teacher}").status_code == 204


SHORT = {"quality_samples": 50, "train_limit": 100, "test_limit": 50, "max_steps": 2}


def test_more_layers_than_there_are_are_refused_before_the_queue(client: httpx.Client) -> None:
    teacher = post_teacher(client, weights()).raise_for_status().json()["id"]
    body = {"teacher": teacher, "dataset": {"named": "digits"}, "student": STUDENT, "config": SHORT | {"layers": 60}}
    document = problem(client.post("/jobs", json=body), 422, "invalid_config")
    assert [error["pointer"] for error in document["errors"]] == ["/config/layers"]
    assert client.delete(f"/teachers/{teacher}").status_code == 204


@pytest.mark.parametrize("phase", ["queued", "running"])
def test_a_job_is_deleted_in_any_phase_and_leaves_nothing(
    client: httpx.Client, stored: Callable[[], set[str]], phase: str
) -> None:
    config = {"recipe": "cross_entropy", "epochs": 5000, "train_limit": 200, "test_limit": 50}
    body = {"dataset": {"named": "digits"}, "student": STUDENT, "config": config}
    ids = [client.post("/jobs", json=body).raise_for_status().json()["id"] for _ in range(2)]
    wait_for(client, ids[0], 120, status="running", phase="distilling")
    job_id = ids[0] if phase == "running" else ids[1]
    assert client.delete(f"/jobs/{job_id}?cancel=true").status_code == (202 if phase == "running" else 204)
    for left in ids:
        client.delete(f"/jobs/{left}?cancel=true")
    while any(client.get(f"/jobs/{left}").status_code != 404 for left in ids):
        for left in ids:
            client.get(f"/jobs/{left}", headers={"Prefer": "wait=10"})
            client.delete(f"/jobs/{left}?cancel=true")
    assert not any(left in name for left in ids for name in stored())


def test_names_that_nothing_has_are_pointed_at(client: httpx.Client) -> None:
    body = {"dataset": {"named": "digits"}, "student": "timm:resnet43", "config": {"recipe": "cross_entropi"}}
    document = problem(client.post("/jobs", json=body), 422)
    assert pointers(document) == {"/student", "/config/recipe"}
    problem(client.post("/datasets", json={"named": "digitz"}), 422, "unknown_name")
