"""Teachers of other classes and students that do not start from noise, against the whole embedded service."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from safetensors.torch import save

from distill.models import build
from distill.student import load_student
from distill.types import Architecture
from tests.api.checks import pointers, problem
from tests.embedded.service import Service, wait_for
from tests.integration.main_job import architectures_known
from tests.worker.support import wait_until

pytestmark = pytest.mark.long

BACKBONE = {"name": "timm:convnext_atto", "options": {"depths": [1, 1, 2, 1], "dims": [8, 8, 16, 16]}}
DEEP = {"name": "retort:resnet14", "options": {"width": 4}}
STUDENT = {"name": "retort:resnet8", "options": {"width": 4}}
VIT: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64,
    "image_size": 16, "patch_size": 8,
}  # fmt: skip
DINO: dict[str, Any] = {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 16, "patch_size": 8,
}  # fmt: skip
CONFIG: dict[str, Any] = {
    "epochs": 1, "max_steps": 4, "layers": 2, "quality_samples": 40, "train_limit": 200, "test_limit": 60,
}  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    service = Service(tmp_path_factory.mktemp("start") / "data")
    client = service.client()
    wait_until(lambda: architectures_known(client), 180)
    yield client
    client.close()
    service.end()


def registered(client: httpx.Client, architecture: dict[str, Any], classes: int, channels: int) -> dict[str, Any]:
    torch.manual_seed(0)
    network = build(Architecture.model_validate(architecture), classes, channels)
    data = save({name: tensor.contiguous() for name, tensor in network.state_dict().items()})
    form = {"architecture": architecture["name"], "options": json.dumps(architecture["options"])}
    answer = client.post("/teachers", data=form, files={"file": ("weights.safetensors", data)})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def folder(family: str, options: dict[str, Any], classes: int) -> bytes:
    """A Hugging Face folder in a zip: weights as transformers names them, of a model with or without a classifier."""
    torch.manual_seed(0)
    network = build(Architecture(name=f"transformers:{family}", options=options), classes, 3, 16)
    prefix = "" if classes else f"{network.base_model_prefix}."
    state = {name.removeprefix(prefix): tensor.contiguous() for name, tensor in network.state_dict().items()}
    names = {str(number): f"{number}" for number in range(classes)}
    config = {"model_type": family, "num_channels": 3, "id2label": names} | options
    seen = {"size": {"height": 16, "width": 16}, "image_mean": [0.3] * 3, "image_std": [0.2] * 3, "resample": 2}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("model/model.safetensors", save(state))
        archive.writestr("model/config.json", json.dumps(config))
        archive.writestr("model/preprocessor_config.json", json.dumps(seen))
    return made.getvalue()


def registered_folder(client: httpx.Client, family: str, options: dict[str, Any], classes: int) -> dict[str, Any]:
    files = {"file": ("model.zip", folder(family, options, classes))}
    answer = client.post("/teachers", data={"architecture": f"transformers:{family}", "name": family}, files=files)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def finish(client: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/jobs", json={"dataset": {"named": "digits"}, "student": STUDENT} | body)
    assert answer.status_code == 202, answer.text
    return wait_for(client, answer.json()["id"], 240, status="succeeded")


def test_a_backbone_without_a_classifier_from_its_registration_to_the_model_card(client: httpx.Client) -> None:
    teacher = registered(client, BACKBONE, 0, 3)
    assert teacher["report"]["num_classes"] == 0
    body: dict[str, Any] = {"teacher": teacher["id"], "dataset": {"named": "digits"}, "student": STUDENT}
    told = problem(client.post("/jobs", json=body | {"config": {"recipe": "logit"}}), 422, "classes_differ")
    assert pointers(told) == {"/teacher"}
    dry = client.post("/jobs?dry_run=true", json=body | {"config": CONFIG}).raise_for_status().json()
    assert dry["estimates"]["memory_bytes"]["value"] > 0
    job = finish(client, body | {"config": CONFIG})
    assert job["result"]["teacher"]["linear_probe"]["n"] == 60
    assert "accuracy" not in job["result"]["teacher"]
    assert job["resolved"]["config"]["teacher_classes"] == "other"
    curve = client.get(f"/jobs/{job['id']}/q-curve").json()
    assert curve["classes"] == 10
    card = client.get(f"/jobs/{job['id']}/artifacts/README.md", follow_redirects=True).text
    assert "linear probe" in card


def test_a_student_starts_from_its_teacher_and_a_new_job_goes_on_from_it(client: httpx.Client) -> None:
    teacher = registered(client, DEEP, 10, 1)
    config = CONFIG | {"recipe": "feature_only"}
    start = STUDENT | {"weights": {"teacher": teacher["id"]}}
    job = finish(client, {"teacher": teacher["id"], "student": start, "config": config})
    assert job["student_weights"] == {"teacher": teacher["id"]}
    assert job["student"] == STUDENT
    assert f"teacher {teacher['id']}" in job["resolved"]["reasons"]["weights"]
    again = {"epochs": 2, "config": {"recipe": "cross_entropy", "learning_rate": 1e-3}, "name": "longer"}
    answer = client.post(job["links"]["extend"], json=again)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/jobs/{answer.json()['id']}"
    longer = wait_for(client, answer.json()["id"], 240, status="succeeded")
    assert longer["student_weights"] == {"artifact": {"job_id": job["id"], "name": "student.safetensors"}}
    assert (longer["name"], longer["recipe"], longer["config"]["epochs"]) == ("longer", "cross_entropy", 2)
    assert longer["config"]["train_limit"] == CONFIG["train_limit"]
    assert longer["config"]["max_steps"] is None
    report = client.get(f"/jobs/{longer['id']}/report?format=json", follow_redirects=True).json()
    assert report["start"]["label"] == f"the student of {job['id']}"
    assert report["start"]["made"]["count"] == 0
    assert report["configuration"]["backbone_learning_rate"] == pytest.approx(3e-4)
    assert longer["teacher"] == teacher["id"]
    told = problem(client.post(job["links"]["extend"], json={"epochs": 1, "teacher": None}), 422, "teacher_required")
    assert pointers(told) == {"/teacher"}
    alone = client.post(job["links"]["extend"], json=again | {"teacher": None}).raise_for_status().json()
    assert alone["teacher"] is None


def test_a_start_of_other_shapes_fails_by_the_users_fault_and_names_them(client: httpx.Client) -> None:
    teacher = registered(client, DEEP | {"options": {"width": 8}}, 10, 1)
    student = STUDENT | {"weights": {"checkpoint": teacher["id"]}}
    body = {"dataset": {"named": "digits"}, "student": student, "config": CONFIG | {"recipe": "cross_entropy"}}
    answer = client.post("/jobs", json=body)
    assert answer.status_code == 202, answer.text
    job = wait_for(client, answer.json()["id"], 240, status="failed")
    assert job["error"]["fault"] == "user"
    assert "stem.conv.weight" in job["error"]["message"]


def test_two_folders_of_hugging_face_teach_and_start_a_student(client: httpx.Client, tmp_path: Path) -> None:
    """A ViT with its classifier and a DINOv2 without one, of other widths, teach a ViT that starts from every second
    block of the first; what comes out is loaded by transformers' own class."""
    first, second = registered_folder(client, "vit", VIT, 10), registered_folder(client, "dinov2", DINO, 0)
    assert (first["report"]["num_classes"], second["report"]["num_classes"]) == (10, 0)
    assert first["report"]["preprocessing"]["origin"] == "header"
    assert first["report"]["preprocessing"]["mean"] == [0.3] * 3
    ids = [first["id"], second["id"]]
    student = {"name": "transformers:vit", "options": VIT | {"num_hidden_layers": 2}}
    body: dict[str, Any] = {"teacher": ids, "dataset": {"named": "digits"}}
    body |= {"student": student | {"weights": {"teacher": ids[0]}}}
    config = CONFIG | {"layers": 1, "teacher_weights": [3, 1]}
    told = problem(
        client.post("/jobs?dry_run=true", json=body | {"config": {"recipe": "logit"}}), 422, "classes_differ"
    )
    assert "dinov2" in told["errors"][0]["message"]
    alone = client.post("/jobs?dry_run=true", json=body | {"teacher": ids[0], "config": CONFIG}).json()
    dry = client.post("/jobs?dry_run=true", json=body | {"config": config}).raise_for_status().json()
    assert dry["teachers"] == ids
    assert dry["input_bytes"] == alone["input_bytes"] + client.get(f"/teachers/{ids[1]}").json()["size_bytes"]
    assert dry["estimates"]["minutes"]["value"] > alone["estimates"]["minutes"]["value"]
    job = finish(client, body | {"config": config})
    assert (job["teacher"], job["teachers"]) == (ids[0], ids)
    assert job["resolved"]["config"]["teacher_weights"] == [0.75, 0.25]
    _check_curves(client, job)
    report = client.get(f"/jobs/{job['id']}/report?format=json", follow_redirects=True).json()
    assert [(each["label"], each["weight"]) for each in report["teachers"]] == [("vit", 0.75), ("dinov2", 0.25)]
    assert report["start"]["made"]["count"] == 0
    assert report["start"]["left"]["count"] > 0
    path = tmp_path / "student.safetensors"
    path.write_bytes(client.get(f"/jobs/{job['id']}/student", follow_redirects=True).content)
    assert load_student(path).classes == tuple(map(str, range(10)))
    card = client.get(f"/jobs/{job['id']}/artifacts/README.md", follow_redirects=True).text
    assert "ViTForImageClassification(ViTConfig(" in card
    assert problem(client.delete(f"/teachers/{ids[1]}"), 409, "in_use")["details"]["jobs"] == [job["id"]]
    again = (
        client.post(job["links"]["extend"], json={"epochs": 1, "config": {"max_steps": 2}}).raise_for_status().json()
    )
    assert again["teachers"] == ids
    longer = wait_for(client, again["id"], 240, status="succeeded")
    assert [client.get(f"/jobs/{longer['id']}/q-curve?teacher={n}").json()["reused"] for n in (0, 1)] == [True, True]


def _check_curves(client: httpx.Client, job: dict[str, Any]) -> None:
    """Each teacher has a curve, a selection and events of its own."""
    curves = [client.get(f"/jobs/{job['id']}/q-curve?teacher={number}").raise_for_status().json() for number in (0, 1)]
    assert [curve["teacher"] for curve in curves] == job["teachers"]
    assert [curve["chosen"] for curve in curves] == [each["chosen"] for each in job["selections"]]
    assert len({curve["digest"] for curve in curves}) == 2
    problem(client.get(f"/jobs/{job['id']}/q-curve?teacher=2"), 404, "no_q_curve")
    answer = client.get(f"/jobs/{job['id']}/events", headers={"Accept": "application/json"})
    events = answer.raise_for_status().json()["items"]
    assert [e["data"]["teacher"] for e in events if e["kind"] == "layers"] == [0, 1]


def test_teachers_that_cannot_teach_together_are_refused_before_a_job_is_queued(client: httpx.Client) -> None:
    first, second = registered(client, DEEP, 10, 1), registered(client, DEEP | {"options": {"width": 6}}, 10, 1)
    body: dict[str, Any] = {"dataset": {"named": "digits"}, "student": STUDENT}
    both = [first["id"], second["id"]]
    for teacher, config, pointer in [
        (both, {"recipe": "simkd"}, "/config/recipe"),
        (both, {"teacher_weights": [1]}, "/config/teacher_weights"),
        (both, {"teacher_layers": ["stages.0", "stages.1"]}, "/config/teacher_layers"),
        ([first["id"]] * 2, {}, "/teacher"),
        ([first["id"], "tch_none"], {}, "/teacher/1"),
    ]:
        answer = client.post("/jobs", json=body | {"teacher": teacher, "config": config})
        assert pointer in pointers(problem(answer, 422)), answer.text
    assert client.post("/jobs?dry_run=true", json=body | {"teacher": []}).status_code == 422
    found = {each["name"]: each for each in client.get("/catalogue/recipes").json()["items"]}
    assert found["feature_only"]["several_teachers"] is True
    assert found["simkd"]["several_teachers"] is False


def test_a_map_says_what_of_another_architecture_goes_where(client: httpx.Client) -> None:
    teacher = registered(
        client, {"name": "timm:resnet18", "options": {"layers": [2, 1, 1, 1], "channels": [4, 8, 8, 8]}}, 3, 1
    )
    start = {"checkpoint": teacher["id"]}
    body: dict[str, Any] = {"dataset": {"named": "digits"}, "config": CONFIG | {"recipe": "cross_entropy"}}
    told = client.post("/jobs?dry_run=true", json=body | {"student": STUDENT | {"weights": start}})
    assert pointers(problem(told, 422)) == {"/student/weights"}
    named = {"stages.0.0.conv1": "layer1.1.conv1", "stages.0.0.norm1": "layer1.1.bn1"}
    job = finish(client, body | {"student": STUDENT | {"weights": start | {"map": named}}})
    assert job["student_weights"] == {"teacher": teacher["id"], "map": named}
    report = client.get(f"/jobs/{job['id']}/report?format=json", follow_redirects=True).json()
    assert report["start"]["taken"]["count"] == 6
    assert set(report["start"]["taken"]["names"]) >= {"stages.0.0.conv1.weight", "stages.0.0.norm1.running_mean"}
    assert client.post("/jobs", json=body | {"student": STUDENT | {"weights": start | {"map": {}}}}).status_code == 422
