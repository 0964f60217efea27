"""What POST /jobs/{id}/publish refuses, and what a worker refuses later."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from publishing import targets
from store.database import Database
from store.tables import Artifact
from tests.api.checks import pointers, problem
from tests.publishing.world import World, ask, look

MLFLOW = {"target": "mlflow", "tracking_uri": "https://mlflow.example.org"}
S3 = {"target": "s3", "bucket": "models", "secret": "hub"}
OCI = {"target": "oci", "repository": "me/birds"}


def test_the_catalogue_lists_targets_with_their_options(client: TestClient) -> None:
    listed = {each["name"]: each for each in client.get("/catalogue/targets").json()["items"]}
    assert sorted(listed) == sorted(targets.names())
    assert listed["huggingface"]["parameters"]["private"]["default"] is True
    assert listed["huggingface"]["credentials"]["token"]["required"] is True
    assert client.get("/catalogue").json()["targets"] == client.get("/catalogue/targets").json()["items"]


@pytest.mark.parametrize("name", targets.names())
def test_a_target_is_whole(name: str) -> None:
    """Its class is there, and what its schema says of each option is more than a type."""
    schema = targets.registry.parameters(name)
    assert targets.get(name)({}, {}).publish
    assert all(each["description"] and each["type"] for each in schema.values())
    assert targets.registry.summary(name)


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({}, "invalid_request", "/target"),
        ({"target": "hugingface"}, "unknown_name", "/target"),
        ({"target": "huggingface", "secret": "hub"}, "invalid_config", "/parameters/repository"),
        ({"target": "huggingface", "repository": "x", "secret": "hub"}, "invalid_config", "/parameters/repository"),
        ({"target": "huggingface", "repository": "../x", "secret": "hub"}, "invalid_config", "/parameters/repository"),
        ({"target": "huggingface", "repository": "a/b", "publc": 1}, "invalid_config", "/parameters/publc"),
        ({"target": "huggingface", "repository": "a/b"}, "credentials_missing", "/secret"),
        ({"target": "huggingface", "repository": "a/b", "secret": "none"}, "unknown_secret", "/secret"),
        ({"target": "huggingface", "repository": "a/b", "secret": "a b"}, "invalid_request", "/secret"),
        (S3 | {"endpoint": "https://s3.example.org"}, "credentials_missing", "/secret"),
        (MLFLOW | {"tracking_uri": "file:///etc"}, "url_refused", "/parameters/tracking_uri"),
        (MLFLOW | {"tracking_uri": "http://mlflow.example.org"}, "url_refused", "/parameters/tracking_uri"),
        (MLFLOW | {"tracking_uri": "https://me:password@example.org"}, "url_refused", "/parameters/tracking_uri"),
        ({"target": "tensorboard", "parameters": 3}, "invalid_request", "/parameters"),
        ({"target": "tensorboard", "secret": "hub"}, "invalid_config", "/secret"),
        (S3 | {"endpoint": "https://s3.example.org/bucket"}, "invalid_config", "/parameters/endpoint"),
        (S3 | {"endpoint": "https://s3.example.org?versionId=1"}, "invalid_config", "/parameters/endpoint"),
        (OCI | {"registry": "https://ghcr.io/me"}, "invalid_config", "/parameters/registry"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    body: dict[str, Any], code: str, pointer: str, client: TestClient, student: str
) -> None:
    told = problem(client.post(f"/jobs/{student}/publish", json=body), 422, code)
    assert pointer in pointers(told)
    assert "password@" not in str(told)


def test_a_job_without_a_student_publishes_nothing(world: World, client: TestClient, student: str) -> None:
    body = {"target": "tensorboard"}
    problem(client.post(f"/jobs/{world.driver.job()}/publish", json=body), 409, "job_not_succeeded")
    made = ask(client, student, "tensorboard", again=True)
    assert world.run(made) == "succeeded"
    problem(client.post(f"/jobs/{made['id']}/publish", json=body), 409, "job_not_succeeded")
    problem(client.post(f"/jobs/{made['id']}/exports", json={"format": "onnx"}), 409, "job_not_succeeded")
    problem(client.post("/jobs/job_none/publish", json=body), 404)
    problem(client.get(f"/jobs/{student}/publications/{student}"), 404)


def drop_files(database: Database, job: str) -> None:
    with database.write() as session:
        for row in session.query(Artifact).filter(Artifact.job_id == job):
            session.delete(row)


def test_deleted_files_are_not_published(world: World, client: TestClient) -> None:
    job = world.student()
    made = ask(client, job, "tensorboard")
    drop_files(world.database, job)
    assert world.run(made) == "failed"
    assert look(client, made)["error"]["code"] == "input_gone"
    problem(client.post(f"/jobs/{job}/publish", json={"target": "tensorboard"}), 409, "files_deleted")


def test_a_student_goes_with_its_publications(world: World, client: TestClient) -> None:
    job = world.student()
    made = ask(client, job, "tensorboard")
    problem(client.delete(f"/jobs/{job}"), 409, "job_active")
    assert client.delete(f"/jobs/{job}?cancel=true").status_code == 204
    for gone in (job, made["id"]):
        problem(client.get(f"/jobs/{gone}"), 404)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"publish_networks": ""}, "url_refused"),  # the name may be called, its address is not public
        ({"publish_hosts": "*.example.org"}, "url_refused"),
    ],
)
def test_the_publisher_calls_only_what_the_operator_allows(
    settings: dict[str, str], code: str, world: World, client: TestClient, student: str, hub: Any
) -> None:
    narrow = world.settings.model_copy(update=settings)
    made = ask(
        client, student, "huggingface", parameters={"repository": f"me/{len(settings)}"}, again=True, secret="hub"
    )
    asked = len(hub.asked)
    before, world.settings = world.settings, narrow
    try:
        assert world.run(made) == "failed"
    finally:
        world.settings = before
    assert look(client, made)["error"]["code"] == code
    assert len(hub.asked) == asked
