"""Exports over HTTP, by a real worker: with the run that makes the student, and of the finished student later."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from distill.student import load_student
from tests.embedded.service import Service, wait_for
from tests.integration.main_job import architectures_known
from tests.worker.support import wait_until

pytestmark = pytest.mark.long

CONFIG: dict[str, Any] = {"recipe": "cross_entropy", "epochs": 1, "device": "cpu", "precision": "fp32"}
SMALL = {"train_limit": 200, "test_limit": 50, "fit_head": False}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    service = Service(tmp_path_factory.mktemp("service") / "data", OMP_NUM_THREADS="1")
    try:
        yield service.client()
    finally:
        service.kill()


@pytest.fixture(scope="module")
def done(client: httpx.Client) -> dict[str, Any]:
    """A student whose job asked for ONNX and for its int8."""
    wait_until(lambda: architectures_known(client), 180)
    wanted = ["onnx", {"format": "onnx-int8", "parameters": {"calibration_samples": 64}, "max_drop": 1}]
    body = {"dataset": {"named": "digits"}, "student": {"name": "retort:resnet8", "options": {"width": 4}}}
    answer = client.post("/jobs", json=body | {"config": CONFIG | SMALL | {"exports": wanted}})
    assert answer.status_code == 202, answer.text
    return wait_for(client, answer.json()["id"], 240, status="succeeded")


@pytest.fixture(scope="module")
def later(client: httpx.Client, done: dict[str, Any]) -> dict[str, Any]:
    """An export that was asked for when the student was finished, at its end."""
    body = {"format": "openvino", "parameters": {"pixels": True}}
    answer = client.post(f"/jobs/{done['id']}/exports", json=body, headers={"Idempotency-Key": "once"})
    assert answer.status_code == 202, answer.text
    again = client.post(f"/jobs/{done['id']}/exports", json=body, headers={"Idempotency-Key": "once"})
    assert again.headers["Idempotency-Replayed"] == "true"
    made = answer.json()
    assert made["id"] == again.json()["id"]
    assert answer.headers["Location"] == made["links"]["self"]
    wait_for(client, made["id"], 240, status="succeeded")
    found: dict[str, Any] = client.get(made["links"]["self"]).raise_for_status().json()
    return found


def downloaded(client: httpx.Client, file: dict[str, Any], folder: Path) -> Path:
    content = client.get(file["href"], follow_redirects=True).raise_for_status().content
    assert hashlib.sha256(content).hexdigest() == file["sha256"]
    path = folder / file["name"]
    path.write_bytes(content)
    return path


def test_the_run_tells_of_its_exports(client: httpx.Client, done: dict[str, Any]) -> None:
    items = client.get(done["links"]["exports"]).raise_for_status().json()["items"]
    assert [(each["format"], each["status"]) for each in items[:2]] == [
        ("onnx", "succeeded"),
        ("onnx-int8", "succeeded"),
    ]
    exact = items[0]["result"]
    assert exact["drop"] == 0
    assert exact["agreement"]["value"] == 1
    assert exact["figure"] == items[0]["torch"]["figure"]
    assert {"1", "32"} <= exact["latency"].keys()
    assert [file["name"] for file in items[0]["files"]] == ["student.onnx"]
    assert items[1]["result"]["calibrated_on"] == 64
    assert done["result"]["exports"]["exports"][0]["format"] == "onnx"
    assert "student.onnx" in client.get(f"/jobs/{done['id']}/report?format=md", follow_redirects=True).text


def test_an_export_is_a_job_of_its_own_and_none_in_the_list(
    client: httpx.Client, done: dict[str, Any], later: dict[str, Any]
) -> None:
    assert later["status"] == "succeeded"
    assert later["result"]["figure"] == later["torch"]["figure"]
    job = client.get(later["links"]["job"]).raise_for_status().json()
    assert job["export_of"] == done["id"]
    assert "student" not in job["links"]
    assert later["id"] not in {each["id"] for each in client.get("/jobs").json()["items"]}
    listed = client.get(f"/jobs/{done['id']}/exports").json()["items"]
    assert [each["id"] for each in listed][-1] == later["id"]
    assert {"exports.json", "README.md", "student.pixels.openvino.xml", "student.pixels.openvino.bin"} == {
        file["name"] for file in later["files"]
    }


def test_the_graph_of_pixels_answers_as_the_student(
    client: httpx.Client, done: dict[str, Any], later: dict[str, Any], tmp_path: Path
) -> None:
    import openvino

    model, _ = sorted(
        (downloaded(client, each, tmp_path) for each in later["files"] if ".openvino." in each["name"]), reverse=True
    )
    run = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    weights = tmp_path / "student.safetensors"
    weights.write_bytes(client.get(f"/jobs/{done['id']}/student", follow_redirects=True).content)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 1, 8, 8), dtype=np.uint8)
    wanted = load_student(weights).features([Image.fromarray(each[0]) for each in pixels])
    found = run(pixels)[0]
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-3, atol=1e-4)


def test_what_cannot_be_exported_says_why(client: httpx.Client, done: dict[str, Any], later: dict[str, Any]) -> None:
    path = f"/jobs/{done['id']}/exports"
    assert client.post(path, json={"format": "onx"}).json()["code"] == "unknown_name"
    wrong = client.post(path, json={"format": "onnx-int8", "parameters": {"calibration_samples": 0}}).json()
    assert (wrong["code"], wrong["errors"][0]["pointer"]) == ("invalid_config", "/parameters/calibration_samples")
    of_an_export = client.post(f"/jobs/{later['id']}/exports", json={"format": "onnx"})
    assert (of_an_export.status_code, of_an_export.json()["code"]) == (409, "job_not_succeeded")
    assert client.get(f"{path}/job_none").status_code == 404


def test_the_student_is_published_beside_the_slots(client: httpx.Client, done: dict[str, Any], tmp_path: Path) -> None:
    made = client.post(f"/jobs/{done['id']}/publish", json={"target": "tensorboard"}).raise_for_status().json()
    wait_for(client, made["id"], 120, status="succeeded")
    (file,) = client.get(made["links"]["self"]).raise_for_status().json()["files"]
    (tmp_path / "tensorboard").mkdir()
    assert downloaded(client, file, tmp_path).stat().st_size == file["size_bytes"]


def test_with_its_job_an_export_goes(client: httpx.Client, done: dict[str, Any], later: dict[str, Any]) -> None:
    """The last of these tests: nothing is left for others."""
    assert client.delete(f"/jobs/{done['id']}").status_code == 204
    assert client.get(later["links"]["job"]).status_code == 404
