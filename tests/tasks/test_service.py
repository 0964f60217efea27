"""The task that lives in these tests alone, over HTTP: registered, trained, distilled, downloaded, refused."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from distill.student import load_student
from tests.embedded.service import Service, wait_for
from tests.integration.main_job import architectures_known, submit
from tests.tasks.conftest import EXTENSION
from tests.worker.support import wait_until

pytestmark = pytest.mark.long

VALUES = (0.5, 1.5, 3.0)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    service = Service(tmp_path_factory.mktemp("service") / "data", RETORT_EXTENSIONS=str(EXTENSION))
    try:
        yield service.client()
    finally:
        service.kill()


def pictures() -> bytes:
    """Brighter pictures have larger values."""
    random, out = np.random.default_rng(0), BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for value in VALUES:
            for number in range(24):
                pixels = (random.integers(0, 60, (16, 16, 3)) + int(60 * value)).astype(np.uint8)
                buffer = BytesIO()
                Image.fromarray(pixels).save(buffer, "PNG")
                archive.writestr(f"{value}/{number:03}.png", buffer.getvalue())
    return out.getvalue()


def test_from_the_catalogue_to_a_loaded_student(client: httpx.Client, tmp_path: Path) -> None:
    listed = {entry["name"]: entry for entry in client.get("/catalogue/tasks").raise_for_status().json()["items"]}
    assert listed["regress_images"]["metrics"][0]["name"] == "rmse"
    wait_until(lambda: architectures_known(client), 180)
    sent = {"files": {"file": ("values.zip", pictures())}, "data": {"name": "values", "task": "regress_images"}}
    dataset = client.post("/datasets", **sent)
    assert dataset.status_code == 201, dataset.text
    assert dataset.json()["report"]["task"] == "regress_images"
    taught = submit(client, dataset.json()["id"], "retort:resnet14", "cross_entropy")
    wait_for(client, taught, 240, status="succeeded")
    teacher = client.post("/teachers", json={"artifact": {"job_id": taught}, "name": "values"})
    assert teacher.status_code == 201, teacher.text
    job_id = submit(client, dataset.json()["id"], "retort:resnet8", "feature_only", teacher=teacher.json()["id"])
    job = wait_for(client, job_id, 240, status="succeeded")
    assert job["result"]["task"] == "regress_images"
    assert job["result"]["student"]["rmse"] > 0
    path = tmp_path / "student.safetensors"
    path.write_bytes(client.get(f"/jobs/{job_id}/student", follow_redirects=True).raise_for_status().content)
    assert len(load_student(path).predict([Image.new("RGB", (16, 16))])) == 1
    # A classifier is no regressor, and says so before any work.
    digits = client.post("/jobs", params={"dry_run": "true"}, json={
        "dataset": {"named": "digits"}, "student": "retort:resnet8", "teacher": teacher.json()["id"],
        "config": {"recipe": "logit"},
    })  # fmt: skip
    assert digits.status_code == 422, digits.text
    assert "/teacher" in {error["pointer"] for error in digits.json()["errors"]}
