"""Publishing to a server that speaks the hub's protocol, by the process that publishes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.publishing.hub import Hub, Repository
from tests.publishing.world import World, ask, files, look

HUB: dict[str, Any] = {"secret": "hub"}


@pytest.fixture(scope="module")
def published(world: World, client: TestClient, student: str) -> dict[str, Any]:
    made = ask(client, student, "huggingface", repository="me/birds", **HUB)
    assert world.run(made) == "succeeded", look(client, made)["error"]
    return look(client, made)


def test_the_repository_is_private_and_has_the_files(hub: Hub, published: dict[str, Any]) -> None:
    held = hub.repositories["me/birds"]
    assert held.private
    assert published["receipt"]["commit"] == held.head("main")
    content = {name: body for name, body, _ in files()}
    assert held.files()["student.safetensors"] == held.files()["model.safetensors"] == content["student.safetensors"]
    assert json.loads(held.files()["config.json"])["architecture"] == "resnet10t"
    card = held.files()["README.md"].decode()
    assert card.startswith("---\n")
    assert 'library_name: "timm"' in card
    assert "hf-hub:me/birds" in card
    assert "A student." in card


def test_a_publication_is_a_job_of_its_own(client: TestClient, student: str, published: dict[str, Any]) -> None:
    job = client.get(published["links"]["job"]).json()
    assert (job["publication_of"], job["export_of"], job["status"]) == (student, None, "succeeded")
    assert job["links"]["publication"] == published["links"]["self"]
    assert {"publications", "exports", "student", "extend"}.isdisjoint(job["links"])
    assert published["id"] not in {each["id"] for each in client.get("/jobs").json()["items"]}
    assert published["id"] in {each["id"] for each in client.get(f"/jobs/{student}/publications").json()["items"]}
    assert client.get(f"/jobs/{student}/exports").json()["items"] == []
    told = client.get(published["links"]["events"], headers={"Accept": "text/event-stream"}).text
    assert "event: phase" in told
    assert '"publishing"' in told


def test_the_same_again_is_the_same_commit(
    hub: Hub, world: World, client: TestClient, student: str, published: dict[str, Any]
) -> None:
    body = {"target": "huggingface", "parameters": {"repository": "me/birds"}, "secret": "hub"}
    replay = client.post(f"/jobs/{student}/publish", json=body)
    assert (replay.json()["id"], replay.headers["Idempotency-Replayed"]) == (published["id"], "true")
    again = client.post(f"/jobs/{student}/publish", json=body | {"again": True}).json()
    assert again["id"] != published["id"]
    assert world.run(again) == "succeeded"
    assert look(client, again)["receipt"]["commit"] == published["receipt"]["commit"]
    assert hub.commits("me/birds") == 1


@pytest.mark.parametrize(
    ("repository", "private", "secret", "code"),
    [
        ("me/others", True, "old", "credentials_refused"),
        ("stranger/new", True, "hub", "target_forbidden"),
        ("stranger/open", False, "hub", "target_forbidden"),
        ("stranger/closed", True, "hub", "target_forbidden"),
        ("me/open", True, "hub", "target_refused"),
    ],
)
def test_what_the_hub_refuses_is_named_and_not_tried_again(
    repository: str, private: bool, secret: str, code: str,
    hub: Hub, world: World, client: TestClient, student: str,
) -> None:  # fmt: skip
    hub.repositories |= {f"stranger/{name}": Repository("stranger", name == "closed") for name in ("open", "closed")}
    hub.repositories["me/open"] = Repository("me", False)
    made = ask(client, student, "huggingface", secret=secret, repository=repository, private=private)
    assert world.run(made) == "failed", client.get(f"{made['links']['job']}/attempts").json()["items"][-1]["error"]
    error = look(client, made)["error"]
    assert (error["code"], error["fault"]) == (code, "user")
    assert error["remedy"]
    assert hub.repositories["stranger/open"].files() == {}


def test_a_hub_that_is_away_is_asked_a_few_times_and_then_again_on_request(
    hub: Hub, world: World, client: TestClient, student: str
) -> None:
    hub.failing = 1000
    made = ask(client, student, "huggingface", repository="me/later", **HUB)
    assert [world.run(made) for _ in range(world.settings.max_attempts)] == ["queued", "failed"]
    error = look(client, made)["error"]
    assert (error["code"], error["fault"], error["retryable"]) == ("target_unavailable", "system", True)
    hub.failing = 0
    assert client.post(f"{made['links']['job']}/retry").status_code == 202
    assert world.run(made) == "succeeded"
    assert hub.commits("me/later") == 1


def test_another_branch_is_made(hub: Hub, world: World, client: TestClient, student: str) -> None:
    made = ask(client, student, "huggingface", parameters={"repository": "me/birds", "branch": "v2"}, **HUB)
    assert world.run(made) == "succeeded", look(client, made)["error"]
    assert hub.repositories["me/birds"].files("v2") == hub.repositories["me/birds"].files()
