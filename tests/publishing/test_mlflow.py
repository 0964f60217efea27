"""Publishing to a real MLflow server, which `make test-mlflow` installs into an environment of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.publishing.live import SECONDS, followed, publication, say, submitted
from tests.publishing.world import METRICS, World, ask, files, look
from tests.services.processes import free_ports
from tests.slowness import within
from tests.waiting import until

pytestmark = pytest.mark.slow
USER, PASSWORD = "admin", "password1234-of-the-tests"


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = os.environ.get("RETORT_MLFLOW_SERVER")
    if not program:
        pytest.skip("RETORT_MLFLOW_SERVER names no program: make test-mlflow")
    folder, (port,) = tmp_path_factory.mktemp("mlflow"), free_ports(1)
    (folder / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder}/users.db\n"
        f"admin_username = {USER}\nadmin_password = {PASSWORD}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    stores = ["--backend-store-uri", f"sqlite:///{folder}/runs.db", "--artifacts-destination", str(folder / "files")]
    command = [program, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *stores]
    own = {"MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"), "MLFLOW_FLASK_SERVER_SECRET_KEY": "of the tests"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--app-name", "basic-auth"], stdout=log, stderr=log, cwd=folder, start_new_session=True,
            env=os.environ | own | {"MLFLOW_DISABLE_TELEMETRY": "true"},
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(url) or process.poll() is not None, within(120))
        assert process.poll() is None, (folder / "log").read_text()
        yield url
    finally:
        os.killpg(process.pid, 9)
        process.wait()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[TestClient]:
    with world.serving() as client:
        for name, word in (("mlflow", PASSWORD), ("wrong", "another-password")):
            value = {"username": USER, "password": word}
            assert client.put(f"/secrets/{name}", json={"value": value}).status_code == 200
        yield client


@pytest.fixture(scope="module")
def student(world: World, client: TestClient) -> str:
    return world.student()


def get(server: str, endpoint: str, /, **query: str) -> dict[str, Any]:
    answer = httpx.get(f"{server}/api/2.0/mlflow/{endpoint}", params=query, auth=(USER, PASSWORD), timeout=within(30))
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


@pytest.fixture(scope="module")
def published(world: World, client: TestClient, student: str, server: str) -> dict[str, Any]:
    made = ask(client, student, "mlflow", tracking_uri=server, model="birds", experiment="it's ours", secret="mlflow")
    assert world.run(made) == "succeeded", client.get(f"{made['links']['job']}/attempts").json()["items"][-1]["error"]
    return look(client, made)


def test_the_run_has_parameters_history_files_and_a_version(
    server: str, published: dict[str, Any], student: str, tmp_path: Path
) -> None:
    run_id = published["receipt"]["run_id"]
    run = get(server, "runs/get", run_id=run_id)["run"]
    assert run["info"]["status"] == "FINISHED"
    told = {each["key"]: each["value"] for each in run["data"]["params"]}
    assert (told["recipe"], told["student"]) == ("feature_only", "timm:resnet10t")
    assert {each["key"]: each["value"] for each in run["data"]["tags"]}["retort.job"] == student
    history = get(server, "metrics/get-history", run_id=run_id, metric_key="val/accuracy")["metrics"]
    wanted = [(step, values["accuracy"]) for step, split, values in METRICS if split == "val"]
    assert [(each["step"], each["value"]) for each in history] == wanted
    listed = get(server, "artifacts/list", run_id=run_id, path="model")["files"]
    assert {each["path"] for each in listed} == {f"model/{name}" for name, _, _ in files()} | {"model/MLmodel"}
    version = get(server, "model-versions/get", name="birds", version=published["receipt"]["model_version"])
    assert version["model_version"]["run_id"] == run_id


def test_another_attempt_goes_on_with_the_same_run(
    world: World, client: TestClient, server: str, published: dict[str, Any]
) -> None:
    """As after a crash behind the last request: the attempt's end was never written."""
    from store.tables import Job

    with world.database.write() as session:
        job = session.get_one(Job, published["id"])
        job.status, job.result = "queued", None
    assert world.run(published) == "succeeded"
    assert look(client, published)["receipt"] == published["receipt"]
    run_id = published["receipt"]["run_id"]
    history = get(server, "metrics/get-history", run_id=run_id, metric_key="val/accuracy")["metrics"]
    assert len(history) == len(METRICS) / 2


def test_by_explicit_wish_there_is_another_run(
    world: World, client: TestClient, student: str, published: dict[str, Any]
) -> None:
    again = ask(client, student, "mlflow", again=True, secret="mlflow", parameters=published["parameters"])
    assert world.run(again) == "succeeded"
    receipt = look(client, again)["receipt"]
    assert receipt["run_id"] != published["receipt"]["run_id"]
    assert int(receipt["model_version"]) == int(published["receipt"]["model_version"]) + 1


def test_a_job_is_followed_while_it_runs(world: World, client: TestClient, server: str) -> None:
    job = submitted(world, client, {"target": "mlflow", "tracking_uri": server, "secret": "mlflow"})
    made, lease = publication(client, job), world.driver.claim(job["id"])
    say(world, lease, 1)

    def steps() -> list[int]:
        run_id = (publication(client, job)["receipt"] or {}).get("run_id")
        found = get(server, "metrics/get-history", run_id=run_id, metric_key="train/loss") if run_id else {}
        return [each["step"] for each in found.get("metrics", ())]

    with followed(world, made) as ended:
        until(lambda: steps() == [1], SECONDS, pause=1)
        say(world, lease, 2, 3)
        until(lambda: steps() == [1, 2, 3], SECONDS, steps, pause=1)
        world.succeed(lease)
    assert ended == ["queued"]
    assert world.run(made) == "succeeded"
    assert steps() == [1, 2, 3]
    run = get(server, "runs/get", run_id=publication(client, job)["receipt"]["run_id"])["run"]
    assert (run["info"]["status"], run["info"]["run_name"]) == ("FINISHED", "birds")


@pytest.mark.parametrize(("secret", "port", "code"), [("wrong", None, "credentials_refused"),
                                                      ("mlflow", 9, "target_unavailable")])  # fmt: skip
def test_what_goes_wrong_is_named(
    secret: str, port: int | None, code: str, world: World, client: TestClient, student: str, server: str
) -> None:
    url = server if port is None else f"http://127.0.0.1:{port}"
    made = ask(client, student, "mlflow", tracking_uri=url, secret=secret, again=True)
    world.run(made)
    error = client.get(f"{made['links']['job']}/attempts").json()["items"][-1]["error"]
    assert error["code"] == code, error
