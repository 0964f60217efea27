"""What a worker on another machine is told: only names of compose's own network are replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.joining import worker_settings
from store.settings import Settings

SECRET = "s3-secret-" + "s" * 30


def settings(tmp_path: Path, database: str, redis: str, s3: str) -> Settings:
    return Settings(
        data_dir=tmp_path, database_url=database, redis_url=redis, s3_endpoint=s3, s3_access_key="retort",
        s3_secret_key=SECRET,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("postgresql+psycopg://retort:p-w_9@postgres:5432/retort", "postgresql+psycopg://retort:p-w_9@10.0.0.5:5432/retort"),
        ("postgresql+psycopg://postgres:postgres1@postgres/postgres", "postgresql+psycopg://postgres:postgres1@10.0.0.5/postgres"),
        ("postgresql+psycopg://retort:pw@db.example.com/retort", "postgresql+psycopg://retort:pw@db.example.com/retort"),
        ("postgresql+psycopg://retort:pw@10.0.0.9/retort", "postgresql+psycopg://retort:pw@10.0.0.9/retort"),
        ("postgresql+psycopg://retort:pw@[fd00::9]:5432/retort", "postgresql+psycopg://retort:pw@[fd00::9]:5432/retort"),
    ],
)  # fmt: skip
def test_hosts(tmp_path: Path, given: str, told: str) -> None:
    found = worker_settings(settings(tmp_path, given, "redis://:x@redis:6379/0", "http://seaweedfs:8333"), "10.0.0.5")
    assert found["RETORT_DATABASE_URL"] == told
    assert found["RETORT_REDIS_URL"] == "redis://:x@10.0.0.5:6379/0"
    assert found["RETORT_S3_ENDPOINT"] == "http://10.0.0.5:8333"
    assert found["RETORT_S3_SECRET_KEY"] == SECRET


def test_a_worker_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql+psycopg://retort:pw@postgres:5432/retort"
    told = worker_settings(settings(tmp_path, url, "redis://redis", "http://seaweedfs:8333"), "fd-host")
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert Settings().s3_secret_key.get_secret_value() == SECRET
    assert not Settings().embedded
