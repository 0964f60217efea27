"""Pictures with several labels over HTTP: registered, taught, distilled, downloaded, asked; what cannot be is 422."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest
from sklearn.metrics import average_precision_score

from distill.student import load_student
from tests.embedded.service import Service, wait_for
from tests.integration.main_job import architectures_known, submit
from tests.tagging.shapes import CLASSES, archive, as_csv, hot, picture, pictures, zipped
from tests.worker.support import wait_until

COUNT = 160


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    service = Service(tmp_path_factory.mktemp("service") / "data")
    try:
        yield service.client()
    finally:
        service.kill()


def registered(client: httpx.Client, name: str, data: bytes, **fields: str) -> httpx.Response:
    return client.post("/datasets", files={"file": (name, data)}, data=fields)


def downloaded(client: httpx.Client, job_id: str, name: str) -> bytes:
    listed = client.get(f"/jobs/{job_id}/artifacts").raise_for_status().json()["items"]
    href = next(each["href"] for each in listed if each["name"] == name)
    return client.get(href, follow_redirects=True).raise_for_status().content


def test_from_a_table_of_lists_to_a_student_that_names_them(client: httpx.Client, tmp_path: Path) -> None:
    wait_until(lambda: architectures_known(client), 180)
    data = Path(archive(tmp_path, COUNT).files["all"]).read_bytes()
    dataset = registered(client, "shapes.zip", data, name="shapes")
    assert dataset.status_code == 201, dataset.text
    about = dataset.json()
    assert (about["task"], about["report"]["classes"]) == ("tag_images", list(CLASSES))
    assert about["report"]["labels_per_image"]["train"]["none"] > 0
    assert client.get(f"/datasets/{about['id']}/thumbnails").headers["content-type"] == "image/webp"

    config: dict[str, Any] = {"epochs": 12, "batch_size": 16, "learning_rate": 0.01, "quality_samples": 24, "layers": 2}
    taught = ordered(client, about["id"], "retort:resnet14", config | {"recipe": "cross_entropy"})
    teacher = client.post("/teachers", json={"artifact": {"job_id": taught}, "name": "shapes"}).json()
    assert {"classify_images", "tag_images"} <= set(teacher["report"]["tasks"])
    chosen = config | {"recipe": "logit", "threshold": 0.4, "mixup": 0.2}
    job_id = ordered(client, about["id"], "retort:resnet8", chosen, teacher=teacher["id"], compare_with=taught)
    check(client, job_id, tmp_path)

    wrong = {
        "/config/cutmix": {"recipe": "logit", "cutmix": 1.0},
        "/config/recipe": {"recipe": "dkd"},
        "/config/pseudo_classes": {"recipe": "logit", "pseudo_classes": 4},
    }
    for pointer, settings in wrong.items():
        refused = client.post(
            "/jobs",
            json={
                "dataset": about["id"],
                "student": "retort:resnet8",
                "teacher": teacher["id"],
                "config": config | settings,
            },
        )
        assert refused.status_code == 422, refused.text
        assert pointer in {error["pointer"] for error in refused.json()["errors"]}


def ordered(client: httpx.Client, dataset: str, student: str, config: dict[str, Any], **body: Any) -> str:
    job_id = submit(client, dataset, student, config["recipe"], config=config, **body)
    wait_for(client, job_id, 240, status="succeeded")
    return job_id


def check(client: httpx.Client, job_id: str, folder: Path) -> None:
    """The student's own answers have the report's figures; so have the ONNX file's."""
    result = client.get(f"/jobs/{job_id}").raise_for_status().json()["result"]
    report = json.loads(downloaded(client, job_id, "report.json"))
    figure = report["student"]["mean_average_precision"]
    assert result["student"]["mean_average_precision"] == figure
    assert figure["value"] > report["student"]["chance"] + 0.1
    assert set(report["student"]["per_class"]) == set(CLASSES)
    assert report["student"]["agreement"]["value"] > 0.5
    assert "mean average precision" in downloaded(client, job_id, "report.md").decode()
    assert "guessing" in downloaded(client, job_id, "README.md").decode()

    labels = hot(COUNT)
    test = [i for i in range(COUNT) if i % 4 == 0]
    (folder / "student.safetensors").write_bytes(downloaded(client, job_id, "student.safetensors"))
    student = load_student(folder / "student.safetensors")
    assert student.threshold == 0.4
    shown = [picture(i, labels[i]) for i in test]
    found = student.predict(shown)
    truth = np.array([labels[i] for i in test])
    scores = np.array([[tags.scores[name] for name in CLASSES] for tags in found])
    assert average_precision_score(truth, scores, average="macro") == pytest.approx(figure["value"], abs=1e-4)
    for tags in found:
        assert set(tags.labels) == {name for name, score in tags.scores.items() if score >= 0.4}
    one = student.predict(shown[0], threshold=0.0)
    assert set(one.labels) == set(CLASSES)

    session = onnxruntime.InferenceSession(downloaded(client, job_id, "student.onnx"))
    logits = session.run(None, {session.get_inputs()[0].name: student.inputs(shown).numpy()})[0]
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), scores, atol=1e-4)


@pytest.mark.parametrize(
    ("cells", "word"),
    [(["a", ""] * 10, "one class alone"), ([""] * 20, "has a label"), (["a|b", "-1"] * 10, "-1")],
)
def test_bad_tables_are_refused(client: httpx.Client, tmp_path: Path, cells: list[str], word: str) -> None:
    files = pictures(hot(20))
    rows = [{"file_name": name, "labels": cell} for name, cell in zip(files, cells, strict=True)]
    path = zipped(tmp_path / "a.zip", files | {"labels.csv": as_csv(rows)})
    answer = registered(client, "a.zip", path.read_bytes(), task="tag_images")
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "invalid_dataset"
    assert word in answer.json()["detail"]
