"""Optimizer, schedule and presets of a job: listed in the catalogue, refused at submission where they make no sense."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from distill import presets
from distill.training import optimizers
from store.database import Database
from store.repositories import system
from tests.api.checks import pointers, problem
from tests.api.driver import Driver
from tests.api.test_dry_run_texts import REPORT as TEXTS


def _body(driver: Driver, config: dict[str, Any], dataset: str = "") -> dict[str, Any]:
    return {
        "dataset": dataset or driver.dataset(),
        "student": "retort:resnet8",
        "config": {"recipe": "cross_entropy"} | config,
    }


@pytest.fixture(scope="module")
def entries() -> list[dict[str, Any]]:
    return optimizers.catalogue()


@pytest.fixture
def published(database: Database, driver: Driver, entries: list[dict[str, Any]]) -> None:
    with database.write() as session:
        system.publish(session, "optimizer", entries)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"optimizer": "adamww"}, "optimizer"),
    ({"optimizer": "kron"}, "optimizer"),
    ({"optimizer": "adahessian"}, "optimizer"),
    ({"optimizer": "lion"}, "learning_rate"),
    ({"momentum": 0.9}, "momentum"),
    ({"optimizer": "sgd", "momentum": 1}, "momentum"),
    ({"nesterov": True}, "nesterov"),
    ({"schedule": "linear"}, "schedule"),
    ({"milestones": [3]}, "milestones"),
    ({"schedule": "multi_step", "milestones": [3, 2], "epochs": 9}, "milestones"),
    ({"schedule": "multi_step", "milestones": [3], "epochs": 3}, "milestones"),
    ({"schedule": "multi_step", "milestones": []}, "milestones"),
    ({"gamma": 0.2}, "gamma"),
    ({"label_smoothing": 1}, "label_smoothing"),
    ({"label_smoothing": -0.1}, "label_smoothing"),
    ({"mixup": -1}, "mixup"),
    ({"cutmix": 1, "batch_size": 1}, "cutmix"),
    ({"class_weights": "balance"}, "class_weights"),
    ({"class_weights": {}}, "class_weights"),
    ({"class_weights": {"0": 0}}, "class_weights"),
    ({"class_weights": "balanced", "sampling": "balanced"}, "class_weights"),
    ({"sampling": "random"}, "sampling"),
    ({"preset": "cdr"}, "preset"),
    ({"preset": 3}, "preset"),
]


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(("config", "field"), REFUSED, ids=str)
def test_what_cannot_be_meant_is_refused_with_its_field(
    client: TestClient, driver: Driver, config: dict[str, Any], field: str
) -> None:
    found = problem(client.post("/jobs?dry_run=true", json=_body(driver, config)), 422)
    assert any(pointer.startswith(f"/config/{field}") for pointer in pointers(found)), found


def test_an_unknown_preset_is_refused_with_the_list(client: TestClient, driver: Driver) -> None:
    found = problem(client.post("/jobs", json=_body(driver, {"preset": "cdr"})), 422)
    assert all(name in found["remedy"] for name in presets.PRESETS)


def test_torchs_own_optimizers_need_no_published_catalogue(client: TestClient, driver: Driver) -> None:
    for name in optimizers.OWN:
        answer = client.post("/jobs?dry_run=true", json=_body(driver, {"optimizer": name}))
        assert answer.status_code == 200, answer.text
    assert [each["name"] for each in client.get("/catalogue/optimizers").json()["items"]] == sorted(optimizers.OWN)


@pytest.mark.usefixtures("published")
def test_the_catalogue_lists_what_can_run(client: TestClient, entries: list[dict[str, Any]]) -> None:
    found = {each["name"]: each for each in client.get("/catalogue/optimizers").json()["items"]}
    assert found.keys() == {each["name"] for each in entries if not each["refused"]}
    assert found["sgd"] == {"name": "sgd", "momentum": True, "nesterov": True}


def test_a_preset_fills_what_is_left_out_and_is_kept(client: TestClient, driver: Driver) -> None:
    made = client.post("/jobs", json=_body(driver, {"preset": "crd", "epochs": 24, "momentum": 0.8}))
    assert made.status_code == 202, made.text
    config = client.get(f"/jobs/{made.json()['id']}").json()["config"]
    assert (config["preset"], config["epochs"], config["momentum"]) == ("crd", 24, 0.8)
    assert (config["optimizer"], config["schedule"], config["batch_size"]) == ("sgd", "multi_step", 64)
    assert (config["weight_decay"], config["augmentation"]) == (5e-4, "crop_flip")


@pytest.mark.parametrize("name", presets.PRESETS)
def test_every_preset_is_listed_and_is_a_configuration(client: TestClient, driver: Driver, name: str) -> None:
    listed = {each["name"]: each for each in client.get("/catalogue/presets").json()["items"]}
    assert listed[name]["settings"] == dict(presets.PRESETS[name].settings)
    recipe = {"recipe": listed[name]["settings"].get("recipe", "cross_entropy")}
    body = _body(driver, recipe | {"preset": name}) | {"teacher": driver.teacher()}
    answer = client.post("/jobs?dry_run=true", json=body)
    assert answer.status_code == 200, answer.text


def test_a_preset_for_pictures_is_refused_by_its_name_for_texts(client: TestClient, driver: Driver) -> None:
    texts = driver.dataset(kind="table", name="texts", report=TEXTS)
    for config, where in (({"preset": "crd"}, "preset"), ({"cutmix": 1.0}, "cutmix")):
        found = problem(client.post("/jobs", json=_body(driver, config, texts)), 422)
        assert f"/config/{where}" in pointers(found)


SOME, ALL = {"classes": ["a", "b"], "without_label": {"train": 5}}, {"classes": [], "without_label": {"train": 9}}


@pytest.mark.parametrize(("report", "config", "field"), [
    (SOME, {"mixup": 0.2}, "mixup"), (ALL, {"cutmix": 1.0}, "cutmix"),
    (ALL, {"label_smoothing": 0.1}, "label_smoothing"),
    (ALL, {"class_weights": "balanced"}, "class_weights"), (ALL, {"sampling": "balanced"}, "sampling"),
    (SOME, {"class_weights": {"a": 3}}, ""), (SOME, {"sampling": "balanced"}, ""),
    (SOME, {"label_smoothing": 0.1}, ""), (SOME, {"mixup": 0.2, "recipe": "cross_entropy"}, ""),
])  # fmt: skip
def test_labels_are_mixed_and_smoothed_where_there_are_some(
    client: TestClient, driver: Driver, report: dict[str, Any], config: dict[str, Any], field: str
) -> None:
    body = _body(driver, {"recipe": "feature_only"} | config, driver.dataset(report=report))
    body |= {"student": "timm:resnet34", "teacher": driver.teacher(report={"num_classes": 2})}
    answer = client.post("/jobs?dry_run=true", json=body)
    if field:
        assert pointers(problem(answer, 422, "labels_required")) == {f"/config/{field}"}
    else:
        assert answer.status_code == 200, answer.text


SKEWED = {"classes": ["cat", "dog", "cow"], "counts": {"train": [900, 30, 90], "test": [9, 3, 9]}}
HEIGHTS = {"heights": [8, 8, 8], "widths": [8, 8, 8]}


@pytest.mark.parametrize(("task", "config", "warned"), [
    ("classify_images", {}, True), ("classify_text", {}, True), ("classify_images", {"sampling": "balanced"}, False),
    ("classify_text", {"class_weights": {"dog": 9}}, False),
])  # fmt: skip
def test_a_skewed_dataset_is_warned_of_until_the_job_does_something_about_it(
    client: TestClient, driver: Driver, database: Database, task: str, config: dict[str, Any], warned: bool
) -> None:
    texts = task == "classify_text"
    with database.write() as session:
        system.publish(session, "architecture", [{"name": name} for name in ("transformers:auto", "retort:resnet8")])
    report = (TEXTS if texts else HEIGHTS) | SKEWED | {"task": task}
    body = _body(driver, config, driver.dataset(kind="table", report=report))
    if texts:
        teacher = {"num_classes": 3, "generates": False, "config": {"model_type": "bert"}, "tasks": [task]}
        named = {"name": "transformers:bert", "options": {}}
        body |= {"student": "transformers:auto", "teacher": driver.teacher(architecture=named, report=teacher)}
    answer = client.post("/jobs?dry_run=true", json=body)
    assert answer.status_code == 200, answer.text
    found = [each for each in answer.json()["warnings"] if each["code"] == "classes_skewed"]
    assert [each["details"]["smallest"] for each in found] == ([["dog", 30]] if warned else [])


def test_a_weight_for_a_class_that_there_is_not_is_refused_with_near_names(client: TestClient, driver: Driver) -> None:
    body = _body(driver, {"class_weights": {"dogs": 2}}, driver.dataset(report=SKEWED))
    found = problem(client.post("/jobs?dry_run=true", json=body), 422, "unknown_name")
    assert pointers(found) == {"/config/class_weights"}


@pytest.mark.parametrize(("layers", "hint", "refused"), [(2, 1, False), (2, 2, True), (4, None, False)])
def test_a_hint_that_is_no_pair_is_refused_before_the_work(
    client: TestClient, driver: Driver, layers: int, hint: int | None, refused: bool
) -> None:
    config = {"recipe": "fitnet", "layers": layers, "recipe_parameters": {"hint": hint}}
    body = _body(driver, config) | {"teacher": driver.teacher()}
    answer = client.post("/jobs?dry_run=true", json=body)
    if refused:
        assert pointers(problem(answer, 422, "invalid_config")) == {"/config/recipe_parameters/hint"}
    else:
        assert answer.status_code == 200, answer.text
