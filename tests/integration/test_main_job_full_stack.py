"""The main job through real Postgres, Redis, a Celery worker process and an S3 server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration import main_job
from tests.integration.stack import Stack, running
from tests.services.postgres import Postgres
from tests.services.redis import Redis
from tests.services.s3 import S3
from worker.survivors import survivors

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]


def test_the_main_job(tmp_path: Path, postgres: Postgres, redis: Redis, s3: S3) -> None:
    with running(Stack(tmp_path, postgres, redis, s3)) as stack, stack.client() as client:
        job = main_job.run(client, tmp_path)
    assert job["recipe"] == "feature_only"
    scratch = tmp_path / "worker0" / "data" / "scratch"
    assert not list(scratch.glob("*/*"))
    assert survivors(str(scratch)) == []
