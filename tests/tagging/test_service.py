"""Pictures with several labels over HTTP: registered, taught, distilled, downloaded, asked; what cannot be is 422."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score

from distill.student import load_student
from tests.embedded.service import Service, wait_for
from tests.integration.main_job import architectures_known, submit
from tests.tagging.shapes import CLASSES, archive, as_csv, hot, picture, pictures, zipped
from tests.worker.support import wait_until

pytestmark = pytest.mark.long

COUNT = 120


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    service = Service(tmp_path_factory.mktemp("service") / "data")
    try:
        yield service.client()
    finally:
        service.kill()


def registered(client: httpx.Client, data: bytes, **fields: str) -> httpx.Response:
    return client.post("/datasets", files={"file": ("shapes.zip", data)}, data=fields)


def downloaded(client: httpx.Client, job_id: str, name: str) -> bytes:
    listed = client.get(f"/jobs/{job_id}/artifacts").raise_for_status().json()["items"]
    href = next(each["href"] for each in listed if each["name"] == name)
    return client.get(href, follow_redirects=True).raise_for_status().content


@dataclass(frozen=True)
class Done:
    """A distilled student's job, its teacher and its dataset."""

    dataset: dict[str, Any]
    teacher: dict[str, Any]
    job_id: str


CONFIG: dict[str, Any] = {"epochs": 8, "batch_size": 16, "learning_rate": 0.01, "quality_samples": 24, "layers": 2}


@pytest.fixture(scope="module")
def done(client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Done:
    wait_until(lambda: architectures_known(client), 180)
    data = Path(archive(tmp_path_factory.mktemp("shapes"), COUNT).files["all"]).read_bytes()
    dataset = registered(client, data, name="shapes")
    assert dataset.status_code == 201, dataset.text
    about = dataset.json()
    taught = ordered(client, about["id"], "retort:resnet14", CONFIG | {"recipe": "cross_entropy"})
    teacher = client.post("/teachers", json={"artifact": {"job_id": taught}, "name": "shapes"}).json()
    chosen = CONFIG | {"recipe": "logit", "threshold": 0.4, "mixup": 0.2, "exports": ["torch-export"]}
    job_id = ordered(client, about["id"], "retort:resnet8", chosen, teacher=teacher["id"], compare_with=taught)
    return Done(about, teacher, job_id)


def ordered(client: httpx.Client, dataset: str, student: str, config: dict[str, Any], **body: Any) -> str:
    job_id = submit(client, dataset, student, config["recipe"], config=config, **body)
    wait_for(client, job_id, 240, status="succeeded")
    return job_id


def test_a_dataset_tells_its_labels(client: httpx.Client, done: Done) -> None:
    about = done.dataset
    assert (about["task"], about["report"]["classes"]) == ("tag_images", list(CLASSES))
    assert about["report"]["labels_per_image"]["train"]["none"] > 0
    assert client.get(f"/datasets/{about['id']}/thumbnails").headers["content-type"] == "image/webp"
    assert {"classify_images", "tag_images"} <= set(done.teacher["report"]["tasks"])


def test_a_student_answers_as_its_report_says(client: httpx.Client, done: Done, tmp_path: Path) -> None:
    result = client.get(f"/jobs/{done.job_id}").raise_for_status().json()["result"]
    report = json.loads(downloaded(client, done.job_id, "report.json"))
    figure = report["student"]["mean_average_precision"]
    assert result["student"]["mean_average_precision"] == figure
    assert figure["value"] > report["student"]["chance"] + 0.1
    assert set(report["student"]["per_class"]) == set(CLASSES)
    assert report["student"]["agreement"]["value"] > 0.5
    assert "mean average precision" in downloaded(client, done.job_id, "report.md").decode()
    assert "guessing" in downloaded(client, done.job_id, "README.md").decode()
    shown, truth = held()
    student = load_student(fetched(client, done.job_id, tmp_path))
    assert student.threshold == 0.4
    found = student.predict(shown)
    scores = np.array([[tags.scores[name] for name in CLASSES] for tags in found])
    assert average_precision_score(truth, scores, average="macro") == pytest.approx(figure["value"], abs=1e-4)
    for tags in found:
        assert set(tags.labels) == {name for name, score in tags.scores.items() if score >= 0.4}
    assert set(student.predict(shown[0], threshold=0.0).labels) == set(CLASSES)


def test_its_graph_answers_alike(client: httpx.Client, done: Done, tmp_path: Path) -> None:
    student, shown = load_student(fetched(client, done.job_id, tmp_path)), held()[0]
    graph = torch.export.load(BytesIO(downloaded(client, done.job_id, "student.pt2"))).module()
    with torch.inference_mode():
        found = graph(student.inputs(shown)).sigmoid()
    torch.testing.assert_close(found, student.probabilities(shown), rtol=0, atol=1e-4)


def held() -> tuple[list[Image.Image], Any]:
    """The test pictures of the archive, and their labels."""
    labels = hot(COUNT)
    test = [i for i in range(COUNT) if i % 4 == 0]
    return [picture(i, labels[i]) for i in test], np.array([labels[i] for i in test])


def fetched(client: httpx.Client, job_id: str, folder: Path) -> Path:
    path = folder / "student.safetensors"
    path.write_bytes(downloaded(client, job_id, "student.safetensors"))
    return path


@pytest.mark.parametrize(
    ("pointer", "settings"),
    [
        ("/config/cutmix", {"recipe": "logit", "cutmix": 1.0}),
        ("/config/recipe", {"recipe": "dkd"}),
        ("/config/recipe", {"recipe": "logit_standardized"}),
        ("/config/pseudo_classes", {"recipe": "logit", "pseudo_classes": 4}),
    ],
)
def test_what_is_for_one_class_a_picture_is_refused(
    client: httpx.Client, done: Done, pointer: str, settings: dict[str, Any]
) -> None:
    body = {"dataset": done.dataset["id"], "student": "retort:resnet8", "teacher": done.teacher["id"]}
    refused = client.post("/jobs", json=body | {"config": CONFIG | settings})
    assert refused.status_code == 422, refused.text
    assert pointer in {error["pointer"] for error in refused.json()["errors"]}


@pytest.mark.parametrize(
    ("cells", "word"),
    [(["a", ""] * 10, "one class alone"), ([""] * 20, "has a label"), (["a|b", "-1"] * 10, "-1")],
)
def test_bad_tables_are_refused(client: httpx.Client, tmp_path: Path, cells: list[str], word: str) -> None:
    files = pictures(hot(20))
    rows = [{"file_name": name, "labels": cell} for name, cell in zip(files, cells, strict=True)]
    path = zipped(tmp_path / "a.zip", files | {"labels.csv": as_csv(rows)})
    answer = registered(client, path.read_bytes(), task="tag_images")
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "invalid_dataset"
    assert word in answer.json()["detail"]
