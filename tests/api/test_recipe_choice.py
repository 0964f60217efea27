"""`recipe: auto` over HTTP: candidates before the job, the choice as it comes, and what goes on from the job."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from distill import recipes, tasks
from distill.types import Event
from tests.api.checks import pointers, problem
from tests.api.driver import CLASSES, Driver

NAMES = [str(number) for number in range(CLASSES)]
REPORT = {"classes": NAMES, "counts": {"train": [50] * CLASSES, "test": [5] * CLASSES}}
UNLABELLED: dict[str, Any] = {"classes": [], "counts": {"train": [], "test": []}, "without_label": {"train": 9}}


def body(driver: Driver, *, teacher: bool = True, report: dict[str, Any] = REPORT, **config: Any) -> dict[str, Any]:
    made = {"dataset": driver.dataset(report=report), "student": "retort:resnet8"}
    return made | {"config": {"recipe": "auto", **config}} | ({"teacher": driver.teacher()} if teacher else {})


def choice(**changes: Any) -> dict[str, Any]:
    metric = tasks.spec("classify_images").primary.to_dict()
    rows = [{"recipe": "logit", "values": [0.8], "note": ""}, {"recipe": "dkd", "values": [], "note": "Diverged."}]
    known = {"recipe": "", "reason": "", "metric": metric, "minutes": 10.0, "seconds": 3.0, "rungs": [16]}
    return known | {"table": rows} | changes


def test_a_dry_run_says_the_candidates_and_why_others_are_none(client: TestClient, driver: Driver) -> None:
    answer = client.post("/jobs?dry_run=true", json=body(driver))
    assert answer.status_code == 200, answer.text
    found = {row["recipe"]: row for row in answer.json()["recipes"]}
    assert sorted(found) == sorted(recipes.names())
    assert found["feature_only"] == {"recipe": "feature_only", "fits": True, "reason": None}
    offered = {name for name in recipes.names() if tasks.spec("classify_images").offers(name)}
    assert not [name for name, row in found.items() if row["fits"] and name not in offered]
    assert all(row["reason"] for row in found.values() if not row["fits"])
    alone = client.post("/jobs?dry_run=true", json=body(driver, teacher=False)).json()["recipes"]
    fit = {row["recipe"] for row in alone if row["fits"]}
    assert fit == {name for name in offered if not recipes.registry.flag(name, "needs_teacher", default=True)}


def test_a_named_recipe_has_no_candidates(client: TestClient, driver: Driver) -> None:
    given = body(driver) | {"config": {"recipe": "logit"}}
    assert client.post("/jobs?dry_run=true", json=given).json()["recipes"] is None


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({"recipe_parameters": {"temperature": 2}}, "/config/recipe_parameters"),
        ({"auto_recipes": ["lojit"]}, "/config/auto_recipes"),
        ({"selection": "nope"}, "/config/selection"),
        ({"recipe": "logit", "auto_minutes": 5}, "/config/auto_minutes"),
        ({"recipe": "logit", "auto_recipes": ["logit"]}, "/config/auto_recipes"),
    ],
)
def test_what_contradicts_is_refused(client: TestClient, driver: Driver, config: dict[str, Any], pointer: str) -> None:
    answer = client.post("/jobs", json=body(driver, **config))
    assert pointer in pointers(problem(answer, 422))


def test_what_stands_against_every_recipe_is_told_once(client: TestClient, driver: Driver) -> None:
    answer = client.post("/jobs", json=body(driver) | {"student": "retort:resnet9000", "teacher": "tch_none"})
    assert pointers(problem(answer, 422)) == {"/student", "/teacher"}


def test_data_without_labels_do_not_compare(client: TestClient, driver: Driver) -> None:
    answer = client.post("/jobs", json=body(driver, report=UNLABELLED))
    assert problem(answer, 422)["code"] == "labels_required"


def test_no_time_is_left_for_the_training(client: TestClient, driver: Driver) -> None:
    given = body(driver, auto_minutes=10) | {"max_runtime_seconds": 600}
    assert pointers(problem(client.post("/jobs", json=given), 422)) == {"/config/auto_minutes"}


def test_studies_name_their_recipes(client: TestClient, driver: Driver) -> None:
    space = {"/config/layers": {"choices": [2, 3]}}
    refused = client.post("/studies", json={"base": body(driver), "space": space})
    assert pointers(problem(refused, 422)) == {"/base/config/recipe"}
    varied = body(driver) | {"config": {"recipe": "logit"}}
    space = {"/config/recipe": {"choices": ["auto", "logit"]}}
    refused = client.post("/studies", json={"base": varied, "space": space})
    assert pointers(problem(refused, 422)) == {"/space/~1config~1recipe/choices/0"}


def test_the_choice_is_shown_as_it_comes(client: TestClient, driver: Driver) -> None:
    made = client.post("/jobs", json=body(driver)).json()
    assert made["choice"] is None
    lease = driver.claim(made["id"])
    driver.record(lease, Event("phase", {"phase": "choosing"}))
    driver.record(lease, Event("choice", choice()))
    driver.record(lease, Event("choice", choice(seconds=4.0)))  # nothing new but the time
    ended = choice(recipe="logit", reason="logit: the best of 2 recipes.")
    driver.record(lease, Event("choice", ended))
    shown = client.get(made["links"]["self"]).json()
    assert (shown["recipe"], shown["choice"], shown["phase"]) == ("auto", ended, "choosing")
    kinds = [each["kind"] for each in client.get(f"/jobs/{made['id']}/events").json()["items"]]
    assert kinds.count("choice") == 2


def test_what_goes_on_from_the_job_names_what_was_chosen(client: TestClient, driver: Driver) -> None:
    made = client.post("/jobs", json=body(driver, auto_minutes=3)).json()
    lease = driver.claim(made["id"])
    driver.record(lease, Event("choice", choice(recipe="logit", reason="r")))
    driver.artifact(lease, "student.safetensors", b"weights")
    driver.finish(lease, "succeeded")
    extended = client.post(f"/jobs/{made['id']}/extend", json={"epochs": 3})
    assert extended.status_code == 202, extended.text
    config = extended.json()["config"]
    assert (config["recipe"], config["auto_minutes"]) == ("logit", 10.0)
