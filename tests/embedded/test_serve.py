"""`retort serve`: one command, nothing left running however it ends, jobs that go on at the next start."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from embedded.cli import serve
from embedded.lock import AlreadyRunning, only_one
from tests.embedded.service import Service, wait_for
from tests.slowness import within
from tests.worker.support import wait_until
from worker.watching.survivors import survivors

pytestmark = pytest.mark.long

#: Long enough to be interrupted twice, with a checkpoint every few steps.
JOB = {
    "dataset": {"named": "digits"},
    "student": "retort:resnet8",
    "config": {"recipe": "cross_entropy", "epochs": 2000, "batch_size": 32, "train_limit": 200, "test_limit": 50,
               "checkpoint_seconds": 1, "seed": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def started_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose first start (which reads the catalogue) is over."""
    folder = tmp_path_factory.mktemp("first") / "data"
    service = Service(folder)
    try:
        assert service.client().get("/livez").status_code == 200
        assert "First start" in service.said
    finally:
        assert service.end(signal.SIGINT) == 0
    return folder


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Also where a test fails half-way."""
    before = len(Service.started)
    yield
    for service in Service.started[before:]:
        service.kill()


@pytest.fixture
def folder(started_once: Path, tmp_path: Path) -> Iterator[Path]:
    data = tmp_path / "data"
    shutil.copytree(started_once, data)
    yield data
    for path in (data / "scratch").glob("*/*"):
        assert survivors(str(path)) == []


def test_killed_handed_over_and_stopped_one_job_goes_on_through_it_all(folder: Path) -> None:
    first = Service(folder)
    job_id = first.client().post("/jobs", json=JOB).raise_for_status().json()["id"]
    wait_until(lambda: has_checkpoint(first, job_id), 120)
    attempt = folder / "scratch" / job_id / "1"
    assert survivors(str(attempt))
    first.end(signal.SIGKILL)
    wait_until(lambda: survivors(str(attempt)) == [], 20)  # the trainer's lifeline broke

    second = Service(folder)
    wait_for(second.client(), job_id, 60, attempt=2)
    wait_until(lambda: bool(survivors(str(folder / "scratch" / job_id / "2"))), 60)
    assert not attempt.exists()
    steps = len(second.client().get(f"/jobs/{job_id}/checkpoints").json()["items"])
    assert steps >= 1
    wait_for(second.client(), job_id, 120, phase="distilling")
    assert second.end(signal.SIGTERM) == 0
    assert not list((folder / "scratch").glob("*/*"))

    third = Service(folder)
    client = third.client()
    wait_for(client, job_id, 60, attempt=3)
    wait_for(client, job_id, 120, phase="distilling")
    client.post(f"/jobs/{job_id}/stop").raise_for_status()
    wait_for(client, job_id, 120, status="succeeded")
    outcomes = [row["outcome"] for row in client.get(f"/jobs/{job_id}/attempts").json()["items"]]
    assert outcomes == ["worker_lost", "handed_over", "succeeded"]
    assert client.get(f"/jobs/{job_id}/student").status_code == 200
    assert third.end(signal.SIGINT) == 0


def has_checkpoint(service: Service, job_id: str) -> bool:
    return bool(service.client().get(f"/jobs/{job_id}/checkpoints").json()["items"])


def test_a_request_that_waits_for_a_stalled_service_is_answered(folder: Path) -> None:
    """Its connection counts as idle meanwhile; uvicorn's own limit of 5 s would reset it before looking into it."""
    service = Service(folder)
    client = service.client()
    service.process.send_signal(signal.SIGSTOP)
    awake = threading.Timer(6, service.process.send_signal, [signal.SIGCONT])
    awake.start()
    assert client.get("/jobs").status_code == 200
    assert not awake.is_alive()
    client.close()
    assert service.end() == 0


def test_a_second_service_on_the_same_folder_is_refused(folder: Path) -> None:
    with only_one(folder, "http://127.0.0.1:1, process 1"):
        result = CliRunner().invoke(serve, ["--data-dir", str(folder), "--port", "0"])
    assert result.exit_code == 1
    assert "http://127.0.0.1:1, process 1" in result.output
    assert "--data-dir" in result.output


def test_it_ends_with_who_started_it(folder: Path) -> None:
    """Whose end of the pipe the system closes, however it dies."""
    its, ours = os.pipe()
    service = Service(folder, "--until-input-ends", stdin=its)
    os.close(its)
    assert service.url
    os.close(ours)
    assert service.process.wait(within(60)) == 0


def test_the_folder_is_free_again_afterwards(tmp_path: Path) -> None:
    with only_one(tmp_path, "first"), pytest.raises(AlreadyRunning, match="first"), only_one(tmp_path, "second"):
        pass
    with only_one(tmp_path, "third"):
        pass


def test_a_port_in_use_is_named_with_a_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(serve, ["--data-dir", str(tmp_path / "d"), "--port", str(port)])
    assert result.exit_code == 1
    assert f"127.0.0.1:{port}" in result.output
    assert "--port 0" in result.output
    assert not (tmp_path / "d").exists()


def test_open_to_other_machines_without_a_key_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(serve, ["--data-dir", str(tmp_path / "d"), "--host", "0.0.0.0"])
    assert result.exit_code == 1
    assert "RETORT_API_KEY" in result.output


def test_full_settings_are_refused_with_the_right_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RETORT_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("RETORT_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    result = CliRunner().invoke(serve, ["--data-dir", str(tmp_path / "d")])
    assert result.exit_code == 1
    assert "python -m worker" in result.output
