"""The main job through real Postgres, Redis, a Celery worker process and an S3 server."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.embedded.service import wait_for
from tests.integration import main_job
from tests.integration.stack import Stack, running
from tests.services.postgres import Postgres
from tests.services.redis import Redis
from tests.services.s3 import S3
from tests.worker.support import wait_until
from worker.watching.survivors import survivors

LONG = {
    "recipe": "cross_entropy",
    "epochs": 2000,
    "batch_size": 16,
    "checkpoint_seconds": 1,
    "train_limit": 60,
    "seed": 1,
}

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]


def test_the_main_job(tmp_path: Path, postgres: Postgres, redis: Redis, s3: S3) -> None:
    with running(Stack(tmp_path, postgres, redis, s3)) as stack, stack.client() as client:
        job = main_job.run(client, tmp_path)
    assert job["recipe"] == "feature_only"
    scratch = tmp_path / "worker0" / "data" / "scratch"
    assert not list(scratch.glob("*/*"))
    assert survivors(str(scratch)) == []


@pytest.mark.slow
def test_deploys_and_kills(tmp_path: Path, postgres: Postgres, redis: Redis, s3: S3) -> None:
    """SIGTERM to the worker hands the job over; kill -9 is noticed by the lease; a new worker goes on from S3; cancel
    leaves nothing anywhere."""
    with running(Stack(tmp_path, postgres, redis, s3)) as stack, stack.client() as client:
        wait_until(lambda: main_job.architectures_known(client), 180)
        body = {"dataset": {"named": "digits"}, "student": "retort:resnet8", "config": LONG}
        job_id = client.post("/jobs", json=body).raise_for_status().json()["id"]
        wait_for(client, job_id, 120, phase="distilling")
        wait_until(lambda: bool(client.get(f"/jobs/{job_id}/checkpoints").json()["items"]), 120)

        (worker,) = stack.workers
        worker.stop(signal.SIGTERM, 60)
        assert client.get(f"/jobs/{job_id}").json()["status"] == "queued"
        stack.start_worker(worker)
        wait_for(client, job_id, 120, attempt=2, phase="distilling")

        worker.kill()
        stack.start_worker(worker)
        wait_for(client, job_id, 180, attempt=3, phase="distilling")
        outcomes = [row["outcome"] for row in client.get(f"/jobs/{job_id}/attempts").json()["items"]]
        assert outcomes == ["handed_over", "worker_lost", None]

        client.post(f"/jobs/{job_id}/cancel").raise_for_status()
        wait_for(client, job_id, 60, status="cancelled")
        scratch = tmp_path / "worker0" / "data" / "scratch"
        assert not any(survivors(str(scratch / job_id / str(attempt))) for attempt in (1, 2, 3))
        assert client.get(f"/jobs/{job_id}/checkpoints").json()["items"] == []
        events = main_job.all_events(client, job_id)
        steps = [(event["data"]["split"], event["data"]["step"]) for event in events if event["kind"] == "metrics"]
        assert len(steps) == len(set(steps))
