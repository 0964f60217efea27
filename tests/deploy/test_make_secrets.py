"""The secrets of docker-compose.yml: random, made once, unreadable to others, and accepted by the settings."""

from __future__ import annotations

import json
import runpy
import stat
from pathlib import Path

import pytest

from store.settings import Settings

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "make_secrets.py"


def make(folder: Path) -> dict[str, str]:
    runpy.run_path(str(SCRIPT))["main"](folder)
    return {path.name: path.read_text().strip() for path in folder.iterdir()}


def test_made_once_and_kept(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = make(tmp_path / "a")
    assert make(tmp_path / "a") == first
    assert not set(first.values()) & set(make(tmp_path / "b").values())


def test_a_lost_file_is_made_again_from_the_same_secret(tmp_path: Path) -> None:
    first = make(tmp_path)
    (tmp_path / "database_url").unlink()
    (tmp_path / "s3.json").unlink()
    assert make(tmp_path) == first


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    make(tmp_path)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o400}
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o711


def test_they_agree_and_the_settings_take_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(tmp_path)
    for name in ("database_url", "redis_url", "s3_secret_key", "api_key"):
        monkeypatch.setenv(f"RETORT_{name.upper()}_FILE", str(tmp_path / name))
    monkeypatch.setenv("RETORT_S3_ENDPOINT", "http://seaweedfs:8333")
    (identity,) = json.loads(made["s3.json"])["identities"]
    (credentials,) = identity["credentials"]
    settings = Settings(host="0.0.0.0", s3_access_key=credentials["accessKey"])
    assert settings.s3_secret_key.get_secret_value() == credentials["secretKey"]
    assert made["postgres_password"] in settings.database_url
    assert made["redis.conf"] == f"requirepass {made['redis_password']}"
    assert made["redis_password"] in settings.redis_url
