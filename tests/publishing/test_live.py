"""A job that is told to MLflow while it runs: as metrics come, through what may go wrong, and to each of its ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from distill.types import Event
from publishing import targets
from store.tables import Job
from tests.api.checks import pointers, problem
from tests.publishing import mlflow_server
from tests.publishing.live import SECONDS, followed, publication, say, submitted
from tests.publishing.mlflow_server import MLflow
from tests.publishing.world import World
from tests.waiting import until

URL = {"target": "mlflow", "tracking_uri": "https://mlflow.example.org"}


@pytest.fixture
def server() -> Iterator[MLflow]:
    with mlflow_server.running() as found:
        yield found


def steps(server: MLflow, key: str = "train/loss") -> list[int]:
    return [step for run in server.runs for step, _ in run.values(key)]


def arrived(server: MLflow, *wanted: int) -> None:
    until(lambda: set(wanted) <= set(steps(server)), SECONDS, pause=0.1)


def test_metrics_arrive_while_the_job_runs_and_each_once_whatever_is_lost(
    world: World, client: TestClient, server: MLflow
) -> None:
    """Answers are lost, the target is down, the job resumes, another publisher goes on: nothing is there twice."""
    job = submitted(world, client, {"target": "mlflow", "tracking_uri": server.url, "model": "birds"})
    made = publication(client, job)
    assert (made["status"], world.lanes(made)) == ("queued", [])
    lease = world.driver.claim(job["id"])
    say(world, lease, 1)
    with followed(world, made) as ended:
        arrived(server, 1)
        assert server.runs[0].status == "RUNNING"
        assert (server.runs[0].name, server.runs[0].tags["retort.job"]) == ("birds", job["id"])
        assert server.runs[0].params["recipe"] == "cross_entropy"
        assert "batch_size" not in server.runs[0].params or server.runs[0].params["batch_size"] != "auto"
        assert publication(client, job)["receipt"]["run_id"] == "0"
        config = client.get(f"/jobs/{job['id']}").json()["config"]
        world.driver.record(lease, Event("resolved", {"config": config | {"precision": "fp32"}, "reasons": {}}))
        server.losing = 1
        say(world, lease, 2, 3)
        arrived(server, 2, 3)
        until(lambda: told(client, job) and told(client, job)[0]["details"]["until"] is not None, SECONDS, pause=0.2)
        assert told(client, job)[0]["code"] == "target_unavailable"
        silent = told(client, job)[0]["details"]
        assert datetime.fromisoformat(silent["since"]) <= datetime.fromisoformat(silent["until"])
        assert server.runs[0].params["precision"] == "fp32"
        world.driver.finish(lease, "queued")  # its worker was lost
    assert (ended, world.lanes(made)) == (["queued"], [])
    lease = world.driver.claim(job["id"])
    server.down = True
    with followed(world, made) as ended:
        say(world, lease, 3, 4)  # step 3 once more
        until(lambda: told(client, job)[0]["details"]["until"] is None, SECONDS, pause=0.2)
        assert steps(server) == [1, 2, 3]
        world.succeed(lease)  # the job does not wait
    assert ended == ["queued"]
    server.down = False
    assert world.run(made) == "succeeded"
    assert steps(server) == [1, 2, 3, 4]
    (run,) = server.runs
    assert run.status == "FINISHED"
    assert "7/0/model/student.safetensors" in server.files
    assert publication(client, job)["receipt"]["model_version"] == "1"
    assert [each["status"] for each in client.get(f"/jobs/{job['id']}").json()["publications"]] == ["succeeded"]


def told(client: TestClient, job: dict[str, Any]) -> list[dict[str, Any]]:
    (note,) = client.get(f"/jobs/{job['id']}").json()["publications"]
    warnings: list[dict[str, Any]] = note["warnings"]
    return warnings


def test_a_job_that_fails_ends_its_run_so_and_takes_it_up_again(
    world: World, client: TestClient, server: MLflow
) -> None:
    job = submitted(world, client, {"target": "mlflow", "tracking_uri": server.url})
    made, lease = publication(client, job), world.driver.claim(job["id"])
    say(world, lease, 1)
    lost = {"code": "oom_host", "message": "", "remedy": "", "fault": "system", "retryable": False, "details": {}}
    world.driver.finish(lease, "failed", lost)  # before anybody followed it
    assert world.run(made) == "failed"
    assert publication(client, job)["error"]["code"] == "job_not_succeeded"
    assert (server.runs[0].status, steps(server)) == ("FAILED", [1])
    assert client.post(f"/jobs/{job['id']}/retry").status_code == 202
    lease = world.driver.claim(job["id"])
    with followed(world, made) as ended:
        until(lambda: server.runs[0].status == "RUNNING", SECONDS)
        assert client.post(f"/jobs/{job['id']}/cancel").status_code == 202
        say(world, lease, 2)
        world.driver.finish(lease, "cancelled")
    assert ended == ["queued"]
    assert world.run(made) == "cancelled"
    assert [run.status for run in server.runs] == ["KILLED"]
    assert steps(server) == [1, 2]


def test_a_publication_that_is_cancelled_ends_its_run_and_not_the_job(
    world: World, client: TestClient, server: MLflow
) -> None:
    job = submitted(world, client, {"target": "mlflow", "tracking_uri": server.url})
    made, lease = publication(client, job), world.driver.claim(job["id"])
    with followed(world, made) as ended:
        say(world, lease, 1)
        arrived(server, 1)
        assert client.post(f"/jobs/{made['id']}/cancel").status_code == 202
    assert ended == ["cancelled"]
    assert server.runs[0].status == "KILLED"
    assert client.get(f"/jobs/{job['id']}").json()["status"] == "running"
    world.succeed(lease)


def test_credentials_that_are_refused_fail_the_publication_alone(
    world: World, client: TestClient, server: MLflow
) -> None:
    server.refusing = True
    job = submitted(world, client, {"target": "mlflow", "tracking_uri": server.url, "secret": "hub"})
    made, lease = publication(client, job), world.driver.claim(job["id"])
    assert world.run(made, "live") == "failed"
    (note,) = client.get(f"/jobs/{job['id']}").json()["publications"]
    assert (note["status"], note["error"]["code"]) == ("failed", "credentials_refused")
    world.succeed(lease)
    assert client.get(f"/jobs/{job['id']}").json()["status"] == "succeeded"


def test_a_job_that_never_ran_is_told_to_nobody(world: World, client: TestClient, server: MLflow) -> None:
    job = submitted(world, client, {"target": "mlflow", "tracking_uri": server.url})
    assert client.post(f"/jobs/{job['id']}/cancel").json()["status"] == "cancelled"
    assert publication(client, job)["status"] == "cancelled"
    assert client.delete(f"/jobs/{job['id']}").status_code == 204
    assert not server.asked


def test_a_publication_takes_no_room_from_its_job(world: World, client: TestClient) -> None:
    """Neither a place in the queue, nor one of the jobs that a tenant may have running."""
    from store.repositories import leases, quotas

    before = client.get("/jobs?status=queued&limit=1").json()
    assert before
    with world.database.read() as session:
        tenant = session.query(Job).first().tenant_id  # type: ignore[union-attr]
        waiting, running = quotas.queued(session, tenant), quotas.running(session, tenant)
    job = submitted(world, client, URL)
    made = publication(client, job)
    with world.database.read() as session:
        assert quotas.queued(session, tenant) == waiting + 1
    with world.database.write() as session:
        lease = leases.claim(session, job["id"], "wrk_test", 60, max_running=running + 1)
    assert lease is not None
    with world.database.write() as session:
        follower = leases.claim(session, made["id"], "wrk_test", 60, max_running=running + 1)
    assert follower is not None
    with world.database.read() as session:
        assert quotas.running(session, tenant) == running + 1
    world.driver.finish(follower, "failed")
    world.succeed(lease)


@pytest.mark.parametrize(
    ("publish", "code", "pointer"),
    [
        ([URL | {"secret": "none"}], "unknown_secret", "/publish/0/secret"),
        ([URL, URL], "invalid_config", "/publish/1"),
        ([URL, {"target": "tensorboard"}], "target_not_live", "/publish/1/target"),
        ([{"target": "mlfow"}], "unknown_name", "/publish/0/target"),
        ([{"target": "mlflow"}], "invalid_config", "/publish/0/parameters/tracking_uri"),
        ([URL | {"tracking_uri": "file:///etc"}], "url_refused", "/publish/0/parameters/tracking_uri"),
        ([URL] * 5, "invalid_request", "/publish"),
    ],
)
@pytest.mark.parametrize("dry", ["", "?dry_run=true"])
def test_what_is_wrong_is_named_before_the_job_is_queued(
    publish: list[dict[str, Any]], code: str, pointer: str, dry: str, world: World, client: TestClient
) -> None:
    body = {"dataset": world.driver.dataset(task="classify_images"), "student": "retort:resnet8"}
    body |= {"config": {"recipe": "cross_entropy"}, "publish": publish}
    assert pointer in pointers(problem(client.post(f"/jobs{dry}", json=body), 422, code))


def test_a_dry_run_names_what_it_would_publish(world: World, client: TestClient) -> None:
    body = {"dataset": world.driver.dataset(task="classify_images"), "student": "retort:resnet8"}
    body |= {"config": {"recipe": "cross_entropy"}, "publish": [URL]}
    (planned,) = client.post("/jobs?dry_run=true", json=body, headers={"Prefer": "wait=0"}).json()["publish"]
    assert (planned["target"], planned["parameters"]["experiment"]) == ("mlflow", "retort")


def test_the_same_request_makes_one_job_with_one_publication(world: World, client: TestClient) -> None:
    body = {"dataset": world.driver.dataset(task="classify_images"), "student": "retort:resnet8"}
    body |= {"config": {"recipe": "cross_entropy"}, "publish": [URL]}
    twice = [client.post("/jobs", json=body, headers={"Idempotency-Key": "live"}).json() for _ in range(2)]
    assert twice[0]["id"] == twice[1]["id"]
    assert publication(client, twice[0])["parameters"] == {"tracking_uri": URL["tracking_uri"]}


@pytest.mark.parametrize("name", targets.names())
def test_the_catalogue_says_which_targets_are_told_live(name: str, client: TestClient) -> None:
    listed = {each["name"]: each["live"] for each in client.get("/catalogue/targets").json()["items"]}
    assert listed[name] is issubclass(targets.get(name), targets.LiveTarget)
