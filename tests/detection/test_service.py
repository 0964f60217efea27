"""A detector over HTTP, by a real worker: trained, refused as a student that cannot be taught, exported, and used; and
from COCO as it is published."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from distill.student import load_student
from tests.detection.coco_2017 import HEIGHT, IDS, TEST, TRAIN, WIDTH, published
from tests.detection.made_up import DETECTOR, coco_zip, picture
from tests.embedded.service import Service, wait_for
from tests.integration.main_job import architectures_known
from tests.worker.support import wait_until

pytestmark = pytest.mark.long

CONFIG: dict[str, Any] = {"device": "cpu", "precision": "fp32", "channels_last": False, "epochs": 4}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    service = Service(tmp_path_factory.mktemp("service") / "data", OMP_NUM_THREADS="1")
    try:
        yield service.client()
    finally:
        service.kill()


@pytest.fixture(scope="module")
def done(client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A finished detector, trained with the settings that a job has where nothing is said."""
    wait_until(lambda: architectures_known(client), 180)
    path = coco_zip(tmp_path_factory.mktemp("boxes")).files["all"]
    with Path(path).open("rb") as file:
        dataset = client.post("/datasets", files={"file": ("boxes.zip", file)})
    assert dataset.status_code == 201, dataset.text
    body = {"dataset": dataset.json()["id"], "student": DETECTOR.model_dump()}
    body["config"] = CONFIG | {"recipe": "cross_entropy"}
    answer = client.post("/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return wait_for(client, answer.json()["id"], 240, status="succeeded")


def test_a_job_that_cannot_work_is_refused_before_it_is_queued(client: httpx.Client, done: dict[str, Any]) -> None:
    """What only networks tell, asked of a worker, and what names and sizes tell."""
    teacher = client.post("/teachers", json={"artifact": {"job_id": done["id"]}})
    assert teacher.status_code == 201, teacher.text
    body = {"dataset": done["dataset"], "student": DETECTOR.model_dump(), "teacher": teacher.json()["id"]}
    one = {"recipe": "feature_only", "layers": 1, "teacher_layers": ["pyramid"]}
    cases = [
        (one | {"student_layers": ["pyramid.smooth.0"]}, "/config/student_layers", "'pyramid'"),
        ({"recipe": "logit", "image_size": 128}, "/config/image_size", "64"),
    ]
    before = client.get("/jobs").json()["items"]
    for config, pointer, remedy in cases:
        refused = client.post("/jobs", json=body | {"config": CONFIG | config})
        assert refused.status_code == 422, refused.text
        assert [each["pointer"] for each in refused.json()["errors"]] == [pointer]
        assert remedy in refused.json()["remedy"]
    assert client.get("/jobs").json()["items"] == before


EXPORTS = [
    pytest.param({"format": "onnx"}, marks=pytest.mark.slow, id="onnx"),
    pytest.param({"format": "onnx-int8", "max_drop": 1}, id="onnx-int8"),
]


@pytest.mark.parametrize("wanted", EXPORTS)
def test_it_is_exported_when_it_is_finished_and_judged_by_its_ap(
    client: httpx.Client, done: dict[str, Any], wanted: dict[str, Any]
) -> None:
    answer = client.post(f"/jobs/{done['id']}/exports", json=wanted)
    assert answer.status_code == 202, answer.text
    wait_for(client, answer.json()["id"], 240, status="succeeded")
    found = client.get(answer.json()["links"]["self"]).raise_for_status().json()
    own, torchs = (each["figure"]["value"] for each in (found["result"], found["torch"]))
    assert torchs == pytest.approx(done["result"]["student"]["ap"]["value"], abs=1e-6)
    assert found["result"]["drop"] == pytest.approx(torchs - own, abs=1e-6)
    assert abs(torchs - own) < (0.001 if wanted["format"] == "onnx" else 1)


def test_the_cards_program_runs(client: httpx.Client, done: dict[str, Any], tmp_path: Path) -> None:
    addresses = {each["name"]: each["href"] for each in client.get(done["links"]["artifacts"]).json()["items"]}
    for name in ("README.md", "student.safetensors"):
        content = client.get(addresses[name], follow_redirects=True).raise_for_status().content
        (tmp_path / name).write_bytes(content)
    Image.fromarray(picture(1000)[0]).save(tmp_path / "image.png")
    program = re.findall(r"```python\n(.*?)```", (tmp_path / "README.md").read_text(), re.S)[0]
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_from_the_published_layout_of_coco_to_a_student(client: httpx.Client, tmp_path: Path) -> None:
    wait_until(lambda: architectures_known(client), 180)
    with published(tmp_path).open("rb") as file:
        dataset = client.post("/datasets", files={"file": ("coco.zip", file)}, data={"name": "coco"})
    assert dataset.status_code == 201, dataset.text
    report = dataset.json()["report"]
    names = [f"thing {number}" for number in IDS]
    assert (report["task"], report["classes"]) == ("detect_objects", names)
    assert report["counts"] == {"train": [TRAIN + 1], "test": [TEST]}
    assert sum(report["boxes"]["train"]) == 4 * TRAIN + 1
    assert (min(report["boxes"]["train"]), report["ignored"]) == (1, {"train": 1, "test": 0})
    assert report["background"] == {"train": 1, "test": 0}
    assert set(report["faults"].values()) == {0}
    config = CONFIG | {"recipe": "cross_entropy", "epochs": 1, "batch_size": 8, "image_size": 96}
    student = {"name": "retort:fcos", "options": {"backbone": "test_byobnet", "width": 8, "depth": 1}}
    job = client.post("/jobs", json={"dataset": dataset.json()["id"], "student": student, "config": config})
    assert job.status_code == 202, job.text
    found = wait_for(client, job.json()["id"], 240, status="succeeded")

    def artifact(name: str) -> bytes:
        path = f"/jobs/{found['id']}/artifacts/{name}"
        return client.get(path, follow_redirects=True).raise_for_status().content

    tested = json.loads(artifact("report.json"))["student"]
    assert list(tested["per_class"]) == names
    assert tested["answer_ms"] > 0
    said = json.loads(artifact("predictions.json"))
    assert {each["file_name"] for each in said["images"]} == {f"val2017/{139 + 7 * i:012}.jpg" for i in range(TEST)}
    worst = json.loads(artifact("worst.json"))
    assert (worst["classes"], len(worst["images"])) == (names, TEST)
    path = tmp_path / "student.safetensors"
    path.write_bytes(client.get(f"/jobs/{found['id']}/student", follow_redirects=True).raise_for_status().content)
    boxes = load_student(path).predict(Image.new("RGB", (WIDTH, HEIGHT))).to_coco(7, category_ids=IDS)
    assert {each["category_id"] for each in boxes} <= set(IDS)
