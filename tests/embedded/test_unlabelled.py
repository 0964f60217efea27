"""Pictures without labels, over HTTP: registered, told of, distilled, judged by a probe set; what cannot be is 422."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from distill.student import load_student
from tests.embedded.service import Service, wait_for
from tests.integration.main_job import architectures_known
from tests.worker.support import wait_until

pytestmark = pytest.mark.long

BACKBONE = {"name": "timm:convnext_atto", "options": {"depths": [1, 1, 1, 1], "dims": [8, 8, 16, 16]}}
QUICK = {"epochs": 1, "batch_size": 16, "layers": 2, "quality_samples": 40, "precision": "fp32", "device": "cpu"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    service = Service(tmp_path_factory.mktemp("service") / "data")
    try:
        yield service.client()
    finally:
        service.kill()


def zipped(folders: dict[str, int], count: int, seed: int = 0) -> bytes:
    """`count` pictures a folder, whose number is their brightness."""
    random, out = np.random.default_rng(seed), BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for folder, value in folders.items():
            for number in range(count):
                pixels = (random.integers(0, 60, (16, 16, 3)) + value).astype(np.uint8)
                buffer = BytesIO()
                Image.fromarray(pixels).save(buffer, "PNG")
                archive.writestr(f"{folder}{seed}_{number:03}.png", buffer.getvalue())
    return out.getvalue()


LABELLED = {"dark/": 0, "bright/": 150}


def registered(client: httpx.Client, **files: bytes) -> dict[str, Any]:
    answer = client.post("/datasets", files={role: (f"{role}.zip", data) for role, data in files.items()})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(client: httpx.Client, **body: Any) -> dict[str, Any]:
    body["config"] = QUICK | body.get("config", {})
    made = client.post("/jobs", json=body)
    assert made.status_code == 202, made.text
    found: dict[str, Any] = wait_for(client, made.json()["id"], 240, status="succeeded")
    return found


def test_from_a_part_without_labels_to_none_at_all(client: httpx.Client, tmp_path: Path) -> None:
    wait_until(lambda: architectures_known(client), 180)
    part = registered(client, file=zipped(LABELLED, 20), unlabelled=zipped({"": 70}, 30, seed=1))
    assert part["report"]["without_label"] == {"train": 30, "test": 0}
    assert any("30 training images have none" in note for note in part["report"]["notes"])
    alone = ended(client, dataset=part["id"], student="retort:resnet8", config={"recipe": "cross_entropy"})
    assert alone["result"]["dataset"]["unlabelled"] == 0
    teacher = client.post("/teachers", json={"artifact": {"job_id": alone["id"]}, "name": "t"}).json()["id"]
    both = ended(client, dataset=part["id"], teacher=teacher, student="retort:resnet8")
    assert both["result"]["dataset"]["unlabelled"] == 30
    assert "accuracy" in both["result"]["student"]

    none, probe = (
        registered(client, file=zipped({"": 0, "pictures": 150}, 20, seed=2)),
        registered(client, file=zipped(LABELLED, 15, 3)),
    )
    assert none["report"]["classes"] == []
    assert none["report"]["without_label"] == {"train": 32, "test": 8}
    asked = {"dataset": none["id"], "teacher": teacher, "student": BACKBONE, "probe": probe["id"]}
    for changes, pointer, code in (
        ({"config": {"recipe": "cross_entropy"}}, "/config/recipe", "labels_required"),
        ({"config": {"recipe": "logit"}}, "/teacher", "classes_differ"),
        ({"student": "retort:resnet8"}, "/student", "labels_required"),
        ({"probe": none["id"]}, "/probe", "labels_required"),
        ({"dataset": part["id"]}, "/probe", "invalid_config"),
        ({"probe": "dst_none"}, "/probe", "unknown_dataset"),
    ):
        for where in ("/jobs", "/jobs?dry_run=true"):
            refused = client.post(where, json=asked | changes)
            assert refused.status_code == 422, refused.text
            problem = refused.json()
            assert (problem["code"], [each["pointer"] for each in problem["errors"]]) == (code, [pointer])
    dry = client.post("/jobs?dry_run=true", json=asked)
    assert dry.status_code == 200, dry.text

    job = ended(client, **asked)
    assert job["probe"] == probe["id"]
    assert job["result"]["student"]["knn"]["n"] == 6
    assert job["result"]["metrics"][0]["name"] == "knn"
    assert client.get(f"/jobs/{job['id']}/q-curve").json()["grouping"] == "pseudo_classes"
    files = {
        name: client.get(f"/jobs/{job['id']}/artifacts/{name}", follow_redirects=True)
        for name in ("student.safetensors", "student.json")
    }
    path = tmp_path / "student.safetensors"
    path.write_bytes(files["student.safetensors"].raise_for_status().content)
    options = json.loads(files["student.json"].content)["architecture"]["options"]
    assert load_student(path).features([Image.new("RGB", (16, 16))]).shape == (1, 16)
    import timm  # after distill.models, which mends torchvision's CPU build

    timm.create_model("convnext_atto", num_classes=0, **options).load_state_dict(load_file(path), strict=True)
