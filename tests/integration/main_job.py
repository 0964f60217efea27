"""The main job over HTTP, as a user does it: dataset, teacher, comparison, distillation, downloads."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from tests.embedded.service import wait_for
from tests.worker.support import wait_until

CLASSES, SIDE = 3, 16
SHORT = {"epochs": 3, "batch_size": 16, "quality_samples": 24, "checkpoint_seconds": 5, "layers": 2, "seed": 3}
PREDICT = """
import sys, torch
from distill.models import load
from distill.types import Architecture
model = load(Architecture(name=sys.argv[1]), sys.argv[2])
print(tuple(model(torch.zeros(2, 3, 32, 32)).shape))
"""


def image_folder(path: Path, each: int = 30) -> Path:
    """A zip of an ImageFolder: classes differ in their colour, so that a tiny network learns them in seconds."""
    random = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for label in range(CLASSES):
            for number in range(each):
                pixels = random.integers(0, 120, (SIDE, SIDE, 3))
                pixels[..., label] += 120
                buffer = BytesIO()
                Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
                archive.writestr(f"class{label}/{number:03}.png", buffer.getvalue())
    return path


def architectures_known(client: httpx.Client) -> bool:
    return bool(client.get("/catalogue/architectures", params={"search": "retort:"}).json()["items"])


def run(client: httpx.Client, folder: Path) -> dict[str, Any]:
    """Everything, checked on the way; the distilling job at its end."""
    wait_until(lambda: architectures_known(client), 180)
    with image_folder(folder / "images.zip").open("rb") as file:
        dataset = client.post("/datasets", files={"file": ("images.zip", file)}, data={"name": "colours"})
    assert dataset.status_code == 201, dataset.text
    dataset_id = dataset.json()["id"]

    taught = submit(client, dataset_id, "retort:resnet14", "cross_entropy", name="teacher")
    alone = submit(client, dataset_id, "retort:resnet8", "cross_entropy", name="alone")
    wait_for(client, taught, 240, status="succeeded")
    teacher = client.post("/teachers", json={"artifact": {"job_id": taught}, "name": "colours"})
    assert teacher.status_code == 201, teacher.text
    wait_for(client, alone, 240, status="succeeded")

    job_id = submit(
        client, dataset_id, "retort:resnet8", "feature_only", teacher=teacher.json()["id"], compare_with=alone
    )
    job = wait_for(client, job_id, 240, status="succeeded")
    check_results(client, job_id, folder)
    check_predictions(client, job_id)
    return job


def submit(client: httpx.Client, dataset_id: str, student: str, recipe: str, **body: Any) -> str:
    answer = client.post(
        "/jobs", json={"dataset": dataset_id, "student": student, "config": SHORT | {"recipe": recipe}} | body
    )
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/jobs/{answer.json()['id']}"
    job_id: str = answer.json()["id"]
    return job_id


def check_results(client: httpx.Client, job_id: str, folder: Path) -> None:
    curve = client.get(f"/jobs/{job_id}/q-curve").raise_for_status().json()
    assert len(curve["layers"]) == curve["total_layers"] > 0
    assert len(curve["chosen"]) == SHORT["layers"]
    for kind, begins in (("text/csv", b"name,"), ("image/svg+xml", b"<"), ("image/png", b"\x89PNG")):
        picture = client.get(f"/jobs/{job_id}/q-curve", headers={"accept": kind}).raise_for_status()
        assert picture.content.lstrip().startswith(begins) or kind == "text/csv", (kind, picture.content[:80])
    listed = {item["name"]: item for item in client.get(f"/jobs/{job_id}/artifacts").raise_for_status().json()["items"]}
    assert {"student.safetensors", "report.json", "report.md"} <= set(listed)
    for name, item in listed.items():
        body = client.get(f"/jobs/{job_id}/artifacts/{name}", follow_redirects=True).raise_for_status().content
        assert hashlib.sha256(body).hexdigest() == item["sha256"], name
    report = client.get(f"/jobs/{job_id}/artifacts/report.json", follow_redirects=True).json()
    assert report["student"]
    assert report["teacher"]
    assert report["comparison"]
    student = folder / "student.safetensors"
    student.write_bytes(client.get(f"/jobs/{job_id}/student", follow_redirects=True).raise_for_status().content)
    fresh = subprocess.run(
        [sys.executable, "-c", PREDICT, "retort:resnet8", str(student)], capture_output=True, text=True, check=True
    )
    assert fresh.stdout.strip().endswith(f"(2, {CLASSES})")
    events = all_events(client, job_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["data"]["status"] == "succeeded"


def check_predictions(client: httpx.Client, job_id: str) -> None:
    """The student is asked, and its teacher; the second time it is ready, and answers the same."""
    buffer = BytesIO()
    Image.new("RGB", (SIDE, SIDE), (30, 200, 30)).save(buffer, "PNG")
    form = [("file", ("green.png", buffer.getvalue()))] * 2
    cold = client.post(f"/jobs/{job_id}/predict", files=form).raise_for_status().json()
    first, second = cold["items"]
    assert first == second
    assert (first["student"]["kind"], first["teachers"]) == ("class", [])
    warm = client.post(f"/jobs/{job_id}/predict", files=form, data={"teacher": "true"}).raise_for_status().json()
    assert warm["warm"]
    assert [each["network"] for each in warm["networks"]] == ["student", "teacher"]
    assert warm["items"][0]["student"] == first["student"]
    (beside,) = warm["items"][0]["teachers"]
    assert beside["agreement"] == float(beside["answer"]["label"] == first["student"]["label"])
    broken = client.post(f"/jobs/{job_id}/predict", files=[*form, ("file", ("bad.png", b"GIF89a"))])
    assert (broken.status_code, broken.json()["errors"][0]["pointer"]) == (422, "/inputs/2")
    assert "scratch" not in broken.text
    page = client.get(f"/jobs/{job_id}/disagreements?limit=3").raise_for_status().json()
    assert [each["rank"] for each in page["items"]] == [1, 2, 3]
    assert page["items"][0]["tile"]
    assert client.get(page["sheet"]["href"], follow_redirects=True).raise_for_status().content[:4] == b"RIFF"


def all_events(client: httpx.Client, job_id: str) -> list[dict[str, Any]]:
    """Page by page."""
    found, query = list[dict[str, Any]](), dict[str, str]()
    while True:
        page = client.get(f"/jobs/{job_id}/events", params=query).raise_for_status().json()
        found += page["items"]
        if not page["items"] or not page.get("next_cursor"):
            return found
        query = {"cursor": page["next_cursor"]}
