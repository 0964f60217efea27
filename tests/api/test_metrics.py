"""/metrics in both storage modes: parsed as Prometheus does, true after restarts, for who may see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from api.state.exposition import Exposition
from store.database import Database
from store.repositories import tenants
from store.tables import Tenant
from tests.api.checks import problem
from tests.api.modes import MODES, Service, serving, settings_of

FIRST_KEY = "a-long-and-random-first-key"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(params=MODES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    with serving(request.param, settings_of(request.param, request, tmp_path), tmp_path) as running:
        yield running


def parsed(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def scrape(service: Service) -> Samples:
    answer = service.client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return parsed(answer.text)


def test_figures_follow_the_jobs(service: Service) -> None:
    waiting, running, lost = (service.driver.job() for _ in range(3))
    lease = service.driver.claim(running)
    service.driver.claim(lost)
    failed = service.driver.job()
    service.driver.finish(service.driver.claim(failed), "failed", {"code": "oom_host"})
    found = scrape(service)
    assert found["retort_database_up", ()] == 1
    assert found["retort_jobs", (("status", "queued"),)] == 1
    assert found["retort_jobs", (("status", "running"),)] == 2
    assert found["retort_jobs", (("status", "cancelled"),)] == 0
    assert found["retort_queue_depth", ()] == 1
    assert 0 < found["retort_queue_oldest_seconds", ()] < 300
    assert found["retort_leases", (("state", "held"),)] == 2
    assert found["retort_attempts_total", (("code", "oom_host"), ("outcome", "failed"))] == 1
    assert found["retort_claim_seconds_count", ()] == 3
    assert found["retort_claim_seconds_bucket", (("le", "+Inf"),)] == 3
    assert found["retort_claim_seconds_sum", ()] >= 0
    service.driver.finish(lease, "succeeded")
    assert scrape(service)["retort_attempts_total", (("code", ""), ("outcome", "succeeded"))] == 1
    assert waiting


def test_counters_outlive_what_they_counted(service: Service) -> None:
    job_id = service.driver.job()
    service.driver.succeed(job_id)
    assert service.client.delete(f"/jobs/{job_id}").status_code == 204
    found = scrape(service)
    assert found["retort_attempts_total", (("code", ""), ("outcome", "succeeded"))] == 1
    again = Exposition(service.database, 60)  # another process
    assert b'retort_attempts_total{code="",outcome="succeeded"} 1.0' in again.text(again.figures())


def test_requests_are_timed_by_route_not_by_id(service: Service) -> None:
    job_id = service.driver.job()
    for path in (f"/jobs/{job_id}", "/jobs/job_none", "/no/such/path"):
        service.client.get(path)
    text = service.client.get("/metrics").text
    assert job_id not in text
    found = parsed(text)
    name = "retort_http_request_seconds_count"
    assert found[name, (("method", "GET"), ("route", "/jobs/{job_id}"), ("status", "200"))] == 1
    assert found[name, (("method", "GET"), ("route", "/jobs/{job_id}"), ("status", "404"))] == 1
    assert found[name, (("method", "GET"), ("route", "other"), ("status", "404"))] == 1


def test_an_empty_service_has_figures(service: Service) -> None:
    found = scrape(service)
    assert found["retort_queue_oldest_seconds", ()] == 0
    assert found["retort_webhook_oldest_seconds", ()] == 0
    assert found["retort_claim_seconds_count", ()] == 0


def test_a_database_that_is_away_is_a_figure(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")  # never migrated
    exposition = Exposition(database, 60)
    text = exposition.text(exposition.figures()).decode()
    database.close()
    assert parsed(text)["retort_database_up", ()] == 0
    assert "retort_jobs{" not in text
    assert "process_resident_memory_bytes" in text


def test_who_may_see_them(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    settings = settings_of("embedded", request, tmp_path, api_key=SecretStr(FIRST_KEY))
    with serving("embedded", settings, tmp_path) as service:
        keys = {}
        with service.database.write() as session:
            session.add(Tenant(id="tnt_other", name="other"))
            session.flush()
            wanted = {
                "metrics": (tenants.DEFAULT_TENANT, "metrics"),
                "reader": (tenants.DEFAULT_TENANT, "read,write"),
                "foreign metrics": ("tnt_other", "metrics"),
                "foreign admin": ("tnt_other", "admin"),
            }
            for name, (tenant, scopes) in wanted.items():
                keys[name] = {"Authorization": f"Bearer {tenants.new_key(session, tenant, name, scopes)[1]}"}
        client = service.client
        assert client.get("/metrics", headers={"Authorization": f"Bearer {FIRST_KEY}"}).status_code == 200
        assert client.get("/metrics", headers=keys["metrics"]).status_code == 200
        problem(client.get("/metrics"), 401, "unauthorized")
        problem(client.get("/metrics", headers=keys["reader"]), 403, "scope_missing")
        problem(client.get("/metrics", headers=keys["foreign metrics"]), 403, "not_operator")
        problem(client.get("/metrics", headers=keys["foreign admin"]), 403, "not_operator")
        problem(client.get("/jobs", headers=keys["metrics"]), 403, "scope_missing")


def test_a_setting_opens_them(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    settings = settings_of("embedded", request, tmp_path, api_key=SecretStr(FIRST_KEY), metrics_open=True)
    with serving("embedded", settings, tmp_path) as service:
        assert service.client.get("/metrics").status_code == 200
        problem(service.client.get("/jobs"), 401, "unauthorized")
