"""Settings refuse to start rather than run wrong, and say what to do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import annotated_types
import pytest
from pydantic import ValidationError

from store.database import Database
from store.objects import ObjectStore
from store.repositories import leases
from store.repositories.leases import Ending
from store.settings import Settings, problems, read_settings
from store.tidying import tidy
from tests.slowness import within
from tests.store.support import new_job

ROOT = Path(__file__).resolve().parent.parent.parent
GOOD_KEY = "k" * 40


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("RETORT_"):
            monkeypatch.delenv(name)


def test_the_default_is_embedded(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert settings.embedded
    assert settings.resolved_database_url == f"sqlite:///{tmp_path}/retort.db"
    assert settings.scratch == tmp_path / "scratch"


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ({"renew_seconds": 40, "lease_seconds": 60}, "RETORT_RENEW_SECONDS"),
        ({"s3_endpoint": "http://s3:9000"}, "RETORT_S3_SECRET_KEY"),
        ({"s3_endpoint": "http://s3", "s3_access_key": "a", "s3_secret_key": "minioadmin"}, "guessable"),
        ({"redis_url": "redis://redis"}, "RETORT_DATABASE_URL"),
        ({"host": "0.0.0.0"}, "RETORT_API_KEY"),
        ({"host": "0.0.0.0", "api_key": "changeme"}, "20 random characters"),
        ({"api_key": "short"}, "20 random characters"),
        ({"slots": 0}, "slots"),
        ({"lease_seconds": -1}, "lease_seconds"),
        ({"port": 70000}, "port"),
    ],
)
def test_refusals(values: dict[str, Any], remedy: str) -> None:
    with pytest.raises(ValidationError, match=remedy):
        Settings(**values)


def test_every_number_has_an_upper_bound() -> None:
    """It reaches a column, the database's calendar or a thread's wait: what those refuse is refused at the start."""
    numbers = {name: field for name, field in Settings.model_fields.items() if field.annotation in (int, float)}
    assert len(numbers) > 30
    for name, field in numbers.items():
        most: list[Any] = [rule.le for rule in field.metadata if isinstance(rule, annotated_types.Le)]
        assert most, name
        assert most[0] < 2**63, name
        for value in (most[0] * 2, float("inf"), float("nan")):
            with pytest.raises(ValidationError, match=name):
                Settings.model_validate({name: value})


@pytest.mark.parametrize("bound", ["le", "ge"])
def test_the_bounds_fit_the_database(database: Database, objects: ObjectStore, bound: str) -> None:
    """A tidy round and a job with the largest and the smallest number each setting may have."""
    rules = [(name, rule) for name, field in Settings.model_fields.items() for rule in field.metadata]
    found: dict[str, Any] = {name: getattr(rule, bound) for name, rule in rules if hasattr(rule, bound)}
    found |= {"port": 1, "slots": 1, "renew_seconds": 0.1, "trainer_uid": 0}
    most = Settings(**found)
    job_id = new_job(database, max_runtime_seconds=most.max_runtime_seconds or None, max_attempts=most.max_attempts)
    with database.write() as session:
        assert leases.queued(session, max_running=most.max_running_jobs) == [job_id]
        lease = leases.claim(session, job_id, "wrk", most.lease_seconds, most.max_running_jobs)
        assert lease is not None
        leases.renew(session, lease, most.lease_seconds)
        leases.settle(session, lease, Ending("queued", "e", counts=True, back_off_seconds=most.retry_back_off_seconds))
    tidy(most, database, objects)


@pytest.mark.parametrize(
    "url",
    ["garbage", "mysql://x:hidden-secret@h/y", "postgresql://x:hidden-secret@h/y", "sqlite+pysqlite:///x.db",
     "postgresql+psycopg://x:hidden-secret@h:port/y", "://"],
)  # fmt: skip
def test_a_database_that_we_do_not_speak_to_is_refused(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(database_url=url)
    (said,) = problems(caught.value)
    assert said.startswith("RETORT_DATABASE_URL")
    assert "postgresql+psycopg://" in said
    assert "hidden-secret" not in said


def test_problems_name_their_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(slots=0, port=-1)
    assert [said.partition(":")[0] for said in problems(caught.value)] == ["RETORT_PORT", "RETORT_SLOTS"]
    monkeypatch.setenv("RETORT_API_KEY_FILE", "/nonexistent")
    with pytest.raises(SystemExit, match="RETORT_API_KEY_FILE names /nonexistent"):
        read_settings()


@pytest.mark.parametrize(
    ("program", "name", "value"),
    [
        (["-c", "from embedded.cli import serve; serve()"], "DATABASE_URL", "garbage"),
        (["-c", "import worker.app"], "DATABASE_URL", "mysql://x/y"),
        (["-m", "worker"], "API_KEY_FILE", "/nonexistent"),
        (["-m", "api"], "DATABASE_URL", "garbage"),
    ],
)
def test_programs_refuse_without_a_traceback(program: list[str], name: str, value: str, tmp_path: Path) -> None:
    environment = os.environ | {f"RETORT_{name}": value, "RETORT_DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, *program], capture_output=True, text=True, env=environment, timeout=within(60)
    )
    assert ended.returncode == 1
    assert f"RETORT_{name}" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_secrets_do_not_show() -> None:
    settings = Settings(api_key=GOOD_KEY, s3_endpoint="http://s3", s3_access_key="a", s3_secret_key="hidden-secret")
    assert GOOD_KEY not in repr(settings)
    assert "hidden-secret" not in repr(settings)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RETORT_SLOTS", "3")
    monkeypatch.setenv("RETORT_SCRATCH_DIR", str(tmp_path))
    assert (Settings().slots, Settings().scratch) == (3, tmp_path)


def test_every_setting_says_what_it_is_or_is_plain() -> None:
    plain = {"data_dir", "s3_bucket", "s3_region", "s3_access_key", "s3_secret_key", "log_level"}
    undescribed = {name for name, field in Settings.model_fields.items() if not field.description}
    assert undescribed <= plain


def test_every_setting_is_in_the_docs() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    named = set(re.findall(r"RETORT_[A-Z0-9_]+", " ".join(page.read_text() for page in pages)))
    assert {f"RETORT_{name.upper()}" for name in Settings.model_fields} - named == set()


def test_a_value_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(GOOD_KEY + "\n")
    monkeypatch.setenv("RETORT_API_KEY_FILE", str(tmp_path / "key"))
    assert Settings().api_key.get_secret_value() == GOOD_KEY
    assert GOOD_KEY not in repr(Settings())


def test_the_value_itself_wins_over_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RETORT_API_KEY_FILE", str(tmp_path / "not there"))
    monkeypatch.setenv("RETORT_API_KEY", "e" * 40)
    assert Settings().api_key.get_secret_value() == "e" * 40
    assert Settings(api_key=GOOD_KEY).api_key.get_secret_value() == GOOD_KEY


def test_an_empty_variable_does_not_hide_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(GOOD_KEY)
    monkeypatch.setenv("RETORT_API_KEY", "")
    monkeypatch.setenv("RETORT_API_KEY_FILE", str(tmp_path / "key"))
    assert Settings().api_key.get_secret_value() == GOOD_KEY


@pytest.mark.parametrize(("content", "says"), [(None, "cannot be read"), (b" \n", "empty"), (b"a\0b", "no text")])
def test_a_secret_file_that_is_wrong_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    monkeypatch.setenv("RETORT_API_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(ValueError, match=f"RETORT_API_KEY_FILE.*{says}"):
        Settings()


def test_a_setting_from_a_file_is_checked_like_any_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("short")
    monkeypatch.setenv("RETORT_API_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(ValidationError, match="20 random characters"):
        Settings()


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, "RETORT_RAY_SHARED_DIR"),
        ({"ray_shared_dir": Path("relative")}, "RETORT_RAY_SHARED_DIR"),
        ({"ray_shared_dir": Path("/shared"), "require_isolation": True}, "RETORT_REQUIRE_ISOLATION"),
        ({"ray_shared_dir": Path("/shared"), "trainer_uid": 10100}, "RETORT_TRAINER_UID"),
    ],
)
def test_what_a_cluster_cannot_keep_is_refused(more: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        Settings(ray_address="head:6379", **more)
    Settings(ray_address="head:6379", ray_shared_dir=Path("/shared"))


@pytest.mark.parametrize(
    "address",
    ["ray://head:10001", "http://head:8265", "auto", "local", "head", ":6379", "head:", "head:0", "head:65536"],
)
def test_a_cluster_is_named_by_its_heads_host_and_port_alone(address: str) -> None:
    with pytest.raises(ValidationError, match="RETORT_RAY_ADDRESS"):
        Settings(ray_address=address, ray_shared_dir=Path("/shared"))
    for fine in ("head:6379", "10.0.0.6:6379", "[fd00::6]:6379"):
        Settings(ray_address=fine, ray_shared_dir=Path("/shared"))
