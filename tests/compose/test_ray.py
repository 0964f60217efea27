"""Jobs on several hosts by the compose files, as docs/deploy.md says; each host a container."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import httpx
import pytest

from tests.compose.stack import COMPOSE, Row, Stack, built, docker, gateway
from tests.embedded.service import wait_for
from tests.services.processes import free_ports
from tests.worker.support import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(not COMPOSE, reason="RETORT_COMPOSE is not set: `make compose-test` runs these"),
]
OURS = 10001
CONFIG = {
    "recipe": "cross_entropy",
    "batch_size": 16,
    "checkpoint_seconds": 1,
    "train_limit": 400,
    "seed": 1,
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The first machine, without a worker."""
    with built(f"retort-ray-{os.getpid()}", RETORT_EXTRAS=",ray") as made:
        yield made


@pytest.fixture(scope="module")
def hosts(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two machines that train; a third one has the head and the worker."""
    folder = tmp_path_factory.mktemp("ray")
    shared = folder / "shared"
    shared.mkdir()
    os.chown(shared, OURS, OURS)
    for above in (folder, *folder.parents[:2]):  # pytest's folders are its own user's
        above.chmod(0o755)
    (port,) = free_ports(1)
    known = f"RETORT_EXTRAS=,ray\nRETORT_RAY_SHARED={shared}\nRETORT_RAY_PORT={port}\n"
    known += f"RAY_AUTH_MODE=token\nRAY_AUTH_TOKEN={secrets.token_hex(32)}\n"
    (folder / "head.env").write_bytes(stack.joining() + known.encode())
    (folder / "host.env").write_bytes(
        (folder / "head.env").read_bytes() + f"RETORT_RAY_HEAD={gateway()}:{port}\n".encode()
    )
    files = ("deploy/worker.yml", "deploy/ray.yml")
    head = Stack(f"{stack.project}-head").alone(folder / "head.env", *files)
    host = Stack(f"{stack.project}-host").alone(folder / "host.env", *files)
    try:
        head.compose("up", "-d")
        start(host)
        yield host
    finally:
        host.compose("--profile", "host", "down", "--volumes", "--timeout", "5")
        head.destroy()


def start(host: Stack) -> None:
    host.compose("up", "-d", "--scale", "host=2", "host")


def submitted(client: httpx.Client, epochs: int) -> str:
    """Once the worker knows of both hosts."""
    body = {"dataset": {"named": "digits"}, "student": "retort:resnet8", "config": CONFIG | {"epochs": epochs},
            "resources": {"hosts": 2, "processes": 2}}  # fmt: skip
    answers: list[Row] = []

    def taken() -> bool:
        answers.append(client.post("/jobs", json=body).json())
        return "id" in answers[-1]

    # While no worker lives, nothing is known and any job is taken.
    wait_until(lambda: bool(client.get("/system").raise_for_status().json()["workers"]), 300)
    wait_until(taken, 300)
    job_id: str = answers[-1]["id"]
    return job_id


def test_a_job_on_two_hosts_outlives_one_of_them(stack: Stack, hosts: Stack) -> None:
    with stack.client() as client:
        job_id = submitted(client, 40)
        wait_until(lambda: bool(client.get(f"/jobs/{job_id}/checkpoints").json()["items"]), 300)
        hosts.kill("host")
        wait_until(lambda: ended(client, job_id) == ["failed"], 120)
        start(hosts)
        job: Row = wait_for(client, job_id, 600, status="succeeded")
        first, second = client.get(f"/jobs/{job_id}/attempts").json()["items"]
        assert (first["error"]["code"], first["error"]["fault"]) == ("host_lost", "system")
        assert (second["outcome"], job["attempt"]) == ("succeeded", 2)


def ended(client: httpx.Client, job_id: str) -> list[str]:
    rows = client.get(f"/jobs/{job_id}/attempts").raise_for_status().json()["items"]
    return [row["outcome"] for row in rows if row["outcome"]]


def test_hosts_join_a_head_that_was_started_again(stack: Stack, hosts: Stack) -> None:
    for name in docker("ps", "-q", "--filter", f"label=com.docker.compose.project={stack.project}-head").split():
        docker("restart", name)
    with stack.client() as client:
        wait_for(client, submitted(client, 1), 300, status="succeeded")
