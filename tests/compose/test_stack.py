"""`docker compose up` for real: steps of one story on one stack, in order. `make compose-test` runs them."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from safetensors.torch import load_file

from tests.compose.stack import COMPOSE, Stack, built, docker
from tests.embedded.service import wait_for
from tests.integration import main_job
from tests.services.processes import free_ports
from tests.slowness import within
from tests.worker.support import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(not COMPOSE, reason="RETORT_COMPOSE is not set: `make compose-test` runs these"),
]
LONG = {
    "recipe": "cross_entropy",
    "epochs": 40,
    "batch_size": 16,
    "checkpoint_seconds": 1,
    "train_limit": 400,
    "seed": 1,
}
SERVICES = ("postgres", "redis", "seaweedfs", "api", "worker")
PREVIOUS = "-1"
WORKER, TRAINER = 10001, 10101  # user ids; 10100 is the inspectors'


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with built(f"retort-test-{os.getpid()}") as made:
        yield made
    assert made.volumes() == set()


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    """What later steps compare with."""
    return {}


def test_it_comes_up_from_nothing(stack: Stack) -> None:
    stack.up()
    assert httpx.get(f"{stack.url}/ui/").status_code == 200
    assert httpx.get(f"{stack.url}/jobs").status_code == 401
    assert "docker compose exec api cat /run/retort/api_key" in stack.compose("logs", "secrets").decode()
    with stack.client() as client:
        assert client.get("/system").raise_for_status().json()["mode"] == "full"


def test_nothing_runs_with_more_than_it_needs(stack: Stack) -> None:
    for service in SERVICES:
        found = stack.inspect(service)
        host = found["HostConfig"]
        if service == "worker":  # becomes its user at once, with the rights to start trainers as others
            assert sorted(name.removeprefix("CAP_") for name in host["CapAdd"]) == ["KILL", "SETGID", "SETUID"]
            assert "no-new-privileges:true" in host["SecurityOpt"]
        else:
            assert found["Config"]["User"].split(":")[0] not in {"", "0", "root"}, service
            assert not host["CapAdd"], service
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert host["RestartPolicy"]["Name"] == "unless-stopped", service
        assert host["Memory"] > 0, service
        assert host["PidsLimit"] > 0, service
        assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}, service
        bound = [place for places in (host["PortBindings"] or {}).values() for place in places]
        assert all(place["HostIp"] == "127.0.0.1" for place in bound), service
    assert stack.inspect("worker")["Config"]["StopTimeout"] > 30


def test_no_secret_shows(stack: Stack) -> None:
    names = ("api_key", "s3_secret_key", "database_url", "redis_url")
    secrets = [stack.compose("exec", "-T", "api", "cat", f"/run/retort/{name}").decode().strip() for name in names]
    assert all(len(secret) > 40 for secret in secrets)
    seen = stack.compose("logs", "--no-color").decode() + stack.compose("config").decode()
    seen += "".join(json.dumps(stack.inspect(service)) for service in (*SERVICES, "secrets", "migrate"))
    assert not any(secret in seen for secret in secrets)


def test_a_service_reads_its_own_secrets_only(stack: Stack) -> None:
    for service, file in (("redis", "postgres_password"), ("postgres", "api_key"), ("api", "database.secret")):
        said = stack.compose("exec", "-T", service, "sh", "-c", f"cat /run/retort/{file} || echo refused").decode()
        assert said == "refused\n", (service, file)


def test_the_main_job_from_outside(stack: Stack, client: httpx.Client, kept: dict[str, Any], tmp_path: Path) -> None:
    kept["job"] = main_job.run(client, tmp_path)["id"]
    answer = client.get(f"/jobs/{kept['job']}/student")
    assert answer.status_code == 307
    assert answer.headers["location"].startswith(stack.s3 + "/")
    kept["student"] = httpx.get(answer.headers["location"]).raise_for_status().content


def test_upload_and_download_by_presigned_url(
    stack: Stack, client: httpx.Client, kept: dict[str, Any], tmp_path: Path
) -> None:
    """The teacher's file goes to the store itself, without a key, and is a teacher then."""
    body = {"filename": "again.safetensors", "size_bytes": len(kept["student"]), "purpose": "teacher",
            "sha256": hashlib.sha256(kept["student"]).hexdigest()}  # fmt: skip
    upload = client.post("/uploads", json=body).raise_for_status().json()
    assert upload["direct"]
    for part in client.get(f"/uploads/{upload['id']}/parts").raise_for_status().json()["items"]:
        assert part["url"].startswith(stack.s3 + "/")
        content = kept["student"][part["offset"] : part["offset"] + part["size_bytes"]]
        page = {"Origin": stack.url, "Access-Control-Request-Method": "PUT"}  # what a browser asks first
        assert httpx.options(part["url"], headers=page).headers["access-control-allow-origin"] in {"*", stack.url}
        httpx.put(part["url"], content=content).raise_for_status()
    client.post(f"/uploads/{upload['id']}/complete").raise_for_status()
    teacher = client.post("/teachers", json={"upload": upload["id"], "architecture": "retort:resnet8"})
    assert teacher.status_code == 201, teacher.text


def test_a_pickled_teacher_is_shut_in(client: httpx.Client, kept: dict[str, Any], tmp_path: Path) -> None:
    """The converter's confinement within the container's own, which forbids it user namespaces."""
    (tmp_path / "student.safetensors").write_bytes(kept["student"])
    torch.save(load_file(tmp_path / "student.safetensors"), tmp_path / "student.pt")
    with (tmp_path / "student.pt").open("rb") as file:
        answer = client.post("/teachers", files={"file": ("student.pt", file)}, data={"architecture": "retort:resnet8"})
    assert answer.status_code == 201, answer.text
    held = answer.json()["source"]["isolation"]
    assert "landlock" in held, held
    assert "seccomp" in held, held


def test_trainers_run_as_another_user_than_the_worker(stack: Stack, client: httpx.Client) -> None:
    job_id = submit_long(client, epochs=5000)
    running = processes(stack.containers("worker")[0]["Name"])
    assert {user for user, command in running if "worker.jobs.trainer" in command} == {TRAINER}
    assert {user for user, command in running if "tini" not in command} == {WORKER, TRAINER}
    secret, environ = "/run/retort/database_url", f"/proc/{worker_pid(stack)}/environ"
    for user, path, said in ((WORKER, secret, "read"), (TRAINER, secret, "refused"), (TRAINER, environ, "refused")):
        command = f"cat {path} > /dev/null 2>&1 && echo read || echo refused"
        told = stack.compose("exec", "-T", "--user", str(user), "worker", "sh", "-c", command)
        assert told.decode().strip() == said, (user, path)
    (worker,) = workers(client)
    assert worker["isolation"]["other_user"]
    found = json.loads(stack.compose("exec", "-T", "worker", "retort", "doctor", "--json"))
    (finding,) = [each for each in found["findings"] if each["name"] == "isolation"]
    assert "another user" in finding["message"], finding
    client.post(f"/jobs/{job_id}/cancel").raise_for_status()
    wait_for(client, job_id, 180, status="cancelled")
    wait_until(lambda: TRAINER not in {user for user, _ in processes(stack.containers("worker")[0]["Name"])}, 30)
    left = stack.compose(
        "exec", "-T", "--user", str(WORKER), "worker", "sh", "-c", f"ls /scratch/0 | grep {job_id} || :"
    )
    assert left == b""


def processes(container: str) -> list[tuple[int, str]]:
    """User id and command of all that run in the container."""
    lines = [line.split(maxsplit=2) for line in docker("top", container, "-eo", "pid,uid,args").splitlines()[1:]]
    return [(int(user), command) for _, user, command in lines]


def worker_pid(stack: Stack) -> int:
    """The worker's number within its container: the only child of process 1."""
    return int(stack.compose("exec", "-T", "worker", "cat", "/proc/1/task/1/children").split()[0])


def test_a_killed_worker_costs_only_time(stack: Stack, client: httpx.Client) -> None:
    job_id = submit_long(client)
    docker("kill", "--signal", "KILL", stack.containers("worker")[0]["Name"])
    assert stack.containers("worker") == []
    stack.compose("up", "-d", "worker")
    job = wait_for(client, job_id, 300, status="succeeded")
    assert job["attempt"] == 2
    outcomes = [row["outcome"] for row in client.get(f"/jobs/{job_id}/attempts").json()["items"]]
    assert outcomes == ["worker_lost", "succeeded"]


def test_a_crashed_worker_comes_back_by_itself(stack: Stack) -> None:
    name = stack.containers("worker")[0]["Name"]
    stack.compose("exec", "-T", "worker", "sh", "-c", "kill -9 $(cat /proc/1/task/1/children)")
    wait_until(lambda: int(docker("inspect", "-f", "{{.RestartCount}}", name)) == 1, 60)
    wait_until(lambda: docker("inspect", "-f", "{{.State.Health.Status}}", name).strip() == "healthy", 120)


def test_two_workers_share_the_work(stack: Stack, client: httpx.Client) -> None:
    stack.compose("up", "-d", "--scale", "worker=2", "--no-recreate")
    running = {container["ID"][:12] for container in stack.containers("worker")}
    assert len(running) == 2
    wait_until(lambda: {worker["hostname"] for worker in workers(client)} >= running, 120)
    # Long enough for the sweep: a busy worker may hear the second one's ring, and the idle one looks every 30 s.
    ids = [submit_long(client, wait=False, epochs=5000) for _ in range(2)]
    for job_id in ids:
        wait_for(client, job_id, 180, phase="distilling")
    busy = {client.get(f"/jobs/{job_id}/attempts").json()["items"][-1]["worker_id"] for job_id in ids}
    assert len(busy) == 2
    places = stack.compose("exec", "-T", "--user", str(WORKER), "worker", "sh", "-c", "ls /scratch").split()
    assert places == [b"0", b"1"]
    for job_id in ids:
        client.post(f"/jobs/{job_id}/stop").raise_for_status()
    for job_id in ids:
        wait_for(client, job_id, 180, status="succeeded")


def test_down_leaves_nothing_running_and_all_data(stack: Stack, kept: dict[str, Any]) -> None:
    before = stack.volumes()
    with stack.client() as client:
        job_id = submit_long(client)
    stack.compose("down")
    assert stack.leftovers() == []
    assert stack.volumes() == before
    stack.up()
    with stack.client() as client:
        check_kept(client, kept)
        # `down` asked the worker to hand over: the job went on from its last checkpoint, and that was no fault.
        wait_for(client, job_id, 300, status="succeeded")
        outcomes = [row["outcome"] for row in client.get(f"/jobs/{job_id}/attempts").json()["items"]]
        assert outcomes == ["handed_over", "succeeded"]


def test_tls_before_both(stack: Stack, kept: dict[str, Any], tmp_path: Path) -> None:
    """Presigned URLs name the store's own TLS port, and are signed for it."""
    port, s3_port = free_ports(2)
    certificate(tmp_path)
    settings = {
        "RETORT_CERTIFICATES": str(tmp_path),
        "RETORT_HTTPS_PORT": str(port),
        "RETORT_HTTPS_S3_PORT": str(s3_port),
    }
    over = stack.over("deploy/tls.yml", RETORT_S3_PUBLIC_ENDPOINT=f"https://localhost:{s3_port}", **settings)
    over.up()
    trusted = ssl.create_default_context(cafile=str(tmp_path / "fullchain.pem"))
    headers = {"Authorization": f"Bearer {stack.key()}"}
    with httpx.Client(
        base_url=f"https://localhost:{port}", verify=trusted, headers=headers, timeout=within(60)
    ) as client:
        wait_until(lambda: answers(client), 60)
        check_kept(client, kept)
        location = client.get(f"/jobs/{kept['job']}/student").headers["location"]
        assert location.startswith(f"https://localhost:{s3_port}/")
    stack.up("--remove-orphans")
    assert stack.over("deploy/tls.yml", **settings).containers("tls", everything=True) == []


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/livez").status_code == 200
    except httpx.TransportError:
        return False


def certificate(folder: Path) -> None:
    options = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subprocess.run(["openssl", "req", "-x509", *options, *names, *files], check=True, capture_output=True)


def test_a_worker_on_another_machine(stack: Stack, client: httpx.Client, tmp_path: Path) -> None:
    """As far as one engine can show it: another project, thus another network, joined by the host's address alone."""
    joining = tmp_path / "worker.env"
    joining.write_bytes(stack.joining())
    far = Stack(f"{stack.project}-far").alone(joining, "deploy/worker.yml")
    try:
        far.compose("up", "-d")
        wait_for(client, submit_long(client, epochs=1, wait=False), 240, status="succeeded")
    finally:
        far.destroy()
    stack.up()


def test_upgrade_from_the_previous_migration(stack: Stack, kept: dict[str, Any]) -> None:
    stack.compose("stop", "api", "worker")
    stack.compose("run", "--rm", "-T", "migrate", "alembic", "downgrade", PREVIOUS)
    old = revision(stack)
    stack.up()
    assert revision(stack) != old
    with stack.client() as client:
        check_kept(client, kept)
        wait_for(client, submit_long(client, epochs=1, wait=False), 180, status="succeeded")


def submit_long(client: httpx.Client, wait: bool = True, **config: Any) -> str:
    """A job that runs for some ten seconds; with `wait`, only back when a checkpoint is kept."""
    body = {"dataset": {"named": "digits"}, "student": "retort:resnet8", "config": LONG | config}
    job_id: str = client.post("/jobs", json=body).raise_for_status().json()["id"]
    if wait:
        wait_until(lambda: bool(client.get(f"/jobs/{job_id}/checkpoints").json()["items"]), 120)
    return job_id


def workers(client: httpx.Client) -> list[Any]:
    found: list[Any] = client.get("/system").raise_for_status().json()["workers"]
    return found


def revision(stack: Stack) -> bytes:
    return stack.compose("run", "--rm", "-T", "migrate", "alembic", "current").split()[0]


def check_kept(client: httpx.Client, kept: dict[str, Any]) -> None:
    assert client.get(f"/jobs/{kept['job']}").raise_for_status().json()["status"] == "succeeded"
    again = client.get(f"/jobs/{kept['job']}/student", follow_redirects=True).raise_for_status().content
    assert again == kept["student"]


def test_backup_wipe_restore(stack: Stack, kept: dict[str, Any]) -> None:
    """On the same machine with new volumes, thus with other secrets: what was there is there again, to the byte."""
    saved = stack.compose("exec", "-T", "api", "retort", "backup", "-")
    old_key = stack.key()
    stack.destroy()
    assert stack.volumes() == set()
    stack.compose("run", "--rm", "-T", "migrate", "retort", "restore", "-", content=saved)
    stack.up()
    stack.forget_key()
    assert stack.key() != old_key
    for key in (stack.key(), old_key):  # the old first key was in the backup: revoke it if it is known to others
        with httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {key}"}, timeout=within(60)) as client:
            check_kept(client, kept)
