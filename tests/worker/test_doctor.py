"""`retort doctor` against servers that are there, broken, or gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text, update

from client import cli
from store.clock import db_now
from store.database import Database
from store.ids import new_id
from store.repositories import system
from store.repositories.tenants import DEFAULT_TENANT
from store.settings import Settings
from store.tables import Job, Webhook, Worker
from tests.services.postgres import Postgres
from tests.services.processes import free_ports
from tests.services.redis import Redis
from tests.services.s3 import ACCESS_KEY, S3, SECRET_KEY
from tests.store.support import claimed, migrated, new_job
from worker.doctor import checks
from worker.doctor.cli import doctor
from worker.doctor.report import Finding


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    with migrated(settings.resolved_database_url) as opened:
        with opened.write() as session:
            system.register_worker(session, Worker(id="wrk_1", hostname="h", pid=1, slots=2))
        yield opened


def found(settings: Settings) -> dict[str, Finding]:
    return {finding.name: finding for finding in checks.run(settings)}


def bad(findings: dict[str, Finding], status: str = "fail") -> set[str]:
    return {finding.name for finding in findings.values() if finding.status == status}


def test_all_is_well(settings: Settings, database: Database) -> None:
    findings = found(settings)
    assert bad(findings) == set()
    assert set(findings) == {
        "settings", "data disk", "scratch disk", "devices", "isolation", "doorbell", "objects", "database",
        "migrations", "clock", "workers", "leases", "queue", "webhooks", "orphans",
    }  # fmt: skip
    assert findings["workers"].message == "1 with 2 slots, 0 busy"
    assert list((settings.data_dir / "objects").rglob("probe*")) == []


def test_every_finding_that_is_not_ok_has_a_remedy(settings: Settings) -> None:
    findings = found(settings)
    assert bad(findings, "warn") >= {"database"}
    assert all(finding.remedy for finding in findings.values() if finding.status != "ok")
    assert not (settings.data_dir / "retort.db").exists()


@pytest.mark.services
def test_the_full_stack(tmp_path: Path, postgres: Postgres, redis: Redis, s3: S3) -> None:
    url = postgres.new_database()
    full: dict[str, Any] = {"database_url": url, "redis_url": redis.url, "s3_endpoint": s3.endpoint}
    full |= {"s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY, "s3_bucket": s3.new_bucket()}
    settings = Settings(data_dir=tmp_path, **full)
    before = found(settings)
    assert bad(before) == {"migrations"}
    assert "alembic upgrade head" in before["migrations"].remedy
    opened = Database(url)
    opened.migrate()
    opened.close()
    after = found(settings)
    assert bad(after) == set()
    assert after["doorbell"].message == "Redis answers"
    assert "workers" in bad(after, "warn")


def test_servers_that_are_gone(tmp_path: Path) -> None:
    sql, red, s3 = free_ports(3)
    settings = Settings(
        data_dir=tmp_path, database_url=f"postgresql+psycopg://retort@127.0.0.1:{sql}/retort",
        redis_url=f"redis://127.0.0.1:{red}/0", s3_endpoint=f"http://127.0.0.1:{s3}", s3_access_key=ACCESS_KEY,
        s3_secret_key=SECRET_KEY,
    )  # fmt: skip
    findings = found(settings)
    assert bad(findings) == {"database", "objects"}
    assert findings["doorbell"].status == "warn"


def test_a_database_of_a_newer_version(settings: Settings, database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    findings = found(settings)
    assert bad(findings) == {"migrations"}
    assert "does not know" in findings["migrations"].message
    assert "workers" not in findings


def test_settings_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETORT_API_KEY", "short")
    monkeypatch.setenv("RETORT_WEBHOOK_NETWORKS", "nonsense")
    findings = checks.run()
    assert {finding.status for finding in findings} == {"fail"}
    assert any("RETORT_WEBHOOK_NETWORKS" in finding.message for finding in findings)


@pytest.mark.parametrize(("name", "value"), [("API_KEY_FILE", "/nonexistent"), ("DATABASE_URL", "mysql://x/y"),
    ("DATABASE_URL", "garbage"), ("SLOTS", "none")])  # fmt: skip
def test_settings_that_cannot_even_be_read(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"RETORT_{name}", value)
    (finding,) = checks.run()
    assert (finding.name, finding.status) == ("settings", "fail")
    assert f"RETORT_{name}" in finding.message
    assert finding.remedy


def test_jobs_of_silent_workers_and_objects_without_rows(settings: Settings, database: Database) -> None:
    job_id = new_job(database)
    claimed(database, job_id)
    with database.write() as session:
        session.execute(update(Job).values(lease_until=db_now(-300)))
        hook = Webhook(id=new_id("whk"), tenant_id=DEFAULT_TENANT, url="u", events="*", secret="s", enabled=False)
        session.add(hook)
    stray = settings.data_dir / "objects" / "teachers" / "tch_gone" / "w"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"x")
    findings = found(settings)
    assert bad(findings, "warn") >= {"leases", "orphans", "webhooks"}
    assert "teachers/tch_gone/w" in findings["orphans"].message
    with database.write() as session:
        system.remove_worker(session, "wrk_1")
    assert bad(found(settings)) == {"leases"}  # nobody there to take it over


def test_more_gpus_than_slots(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for mask, status in (("0,1", "warn"), ("0", "ok"), ("", "ok")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", mask)
        assert found(settings)["devices"].status == status


def test_the_command(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETORT_DATA_DIR", str(settings.data_dir))
    printed = CliRunner().invoke(doctor, ["--json"], standalone_mode=False)
    document = json.loads(printed.output)
    assert (printed.return_value, document["ok"]) == (0, True)
    assert {"name", "status", "message", "remedy"} == set(document["findings"][0])
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    printed = CliRunner().invoke(doctor, [], standalone_mode=False)
    assert printed.return_value == 1
    assert "FAIL  migrations" in printed.output


def test_the_commands_exit_code_reaches_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the entry point, as `retort doctor` runs it."""
    from importlib.metadata import EntryPoint

    monkeypatch.setattr(
        cli, "_attached", lambda: {"doctor": EntryPoint("doctor", "worker.doctor.cli:doctor", cli.GROUP)}
    )
    monkeypatch.setenv("RETORT_API_KEY", "short")
    assert cli.main(["doctor"]) == 1
