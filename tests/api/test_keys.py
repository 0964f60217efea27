"""Keys from their making to their end; scopes, rate limits and quotas; who is served without keys."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from sqlalchemy import select, update

from api.state.context import KEY_SECONDS, open_context
from api.state.limiting import Limiter
from store.database import Database
from store.doorbell import InProcessDoorbell
from store.repositories import tenants
from store.settings import Settings
from store.tables import ApiKey, Base
from tests.api.checks import pointers, problem
from tests.api.driver import Driver
from tests.api.modes import MODES, Service, serving, settings_of
from tests.api.test_registration import post_teacher, safetensors
from tests.slowness import within

FIRST_KEY = "a-long-and-random-first-key"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


FIRST = bearer(FIRST_KEY)


@pytest.fixture(params=MODES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    settings = settings_of(request.param, request, tmp_path, api_key=SecretStr(FIRST_KEY), rate_limit_per_second=0)
    with serving(request.param, settings, tmp_path) as running:
        yield running


def make(service: Service, headers: dict[str, str] = FIRST, **body: Any) -> dict[str, Any]:
    answer = service.client.post("/api-keys", json={"name": "k"} | body, headers=headers)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def test_a_key_is_shown_once_and_kept_as_a_hash(service: Service) -> None:
    answer = service.client.post("/api-keys", json={"name": "mine"}, headers=FIRST)
    created = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert re.fullmatch(r"rtk_[\w-]{43}", created["key"])
    assert created["scopes"] == ["read", "write"]
    shown = service.client.get(answer.headers["location"], headers=FIRST).json()
    assert shown == {name: value for name, value in created.items() if name != "key"}
    listed = service.client.get("/api-keys", headers=FIRST).json()["items"]
    assert [row["name"] for row in listed] == ["mine", "first key"]
    with service.database.read() as session:
        for table in Base.metadata.tables.values():
            text = repr(session.execute(select(table)).all())
            assert created["key"] not in text
            assert FIRST_KEY not in text


def test_a_key_is_used_and_revoked(service: Service) -> None:
    created = make(service)
    assert created["last_used_at"] is None
    assert service.client.get("/jobs", headers=bearer(created["key"])).status_code == 200
    assert service.client.get(f"/api-keys/{created['id']}", headers=FIRST).json()["last_used_at"]
    assert service.client.delete(f"/api-keys/{created['id']}", headers=FIRST).status_code == 204
    problem(service.client.get("/jobs", headers=bearer(created["key"])), 401, "unauthorized")
    problem(service.client.get(f"/api-keys/{created['id']}", headers=FIRST), 404)
    first = service.client.get("/api-keys", headers=FIRST).json()["items"][-1]
    problem(service.client.delete(f"/api-keys/{first['id']}", headers=FIRST), 409, "own_key")


def test_a_key_ends_when_it_was_to_end(service: Service) -> None:
    created = make(service, expires_in_seconds=60)
    assert service.client.get("/jobs", headers=bearer(created["key"])).status_code == 200
    with service.database.write() as session:
        ours = update(ApiKey).where(ApiKey.id == created["id"])
        session.execute(ours.values(expires_at=ApiKey.created_at))
    time.sleep(KEY_SECONDS)
    problem(service.client.get("/jobs", headers=bearer(created["key"])), 401, "unauthorized")


@pytest.mark.parametrize(
    ("scopes", "reads", "writes", "administers"),
    [(["read"], True, False, False), (["write"], True, True, False), (["read", "admin"], True, True, True)],
)
def test_scopes(service: Service, scopes: list[str], reads: bool, writes: bool, administers: bool) -> None:
    key = bearer(make(service, scopes=scopes)["key"])
    upload = {"filename": "f", "size_bytes": 1, "purpose": "teacher"}
    found = (
        service.client.get("/jobs", headers=key).status_code == 200,
        service.client.post("/uploads", json=upload, headers=key).status_code == 201,
        service.client.get("/api-keys", headers=key).status_code == 200,
    )
    assert found == (reads, writes, administers)
    if not administers:
        document = problem(service.client.post("/api-keys", json={"name": "k"}, headers=key), 403, "scope_missing")
        assert document["details"]["scopes"] == sorted(scopes)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["root"]}, "/scopes/0"),
        ({"expires_in_seconds": 1}, "/expires_in_seconds"),
        ({"key": "mine"}, "/key"),
    ],
)
def test_bad_keys_are_pointed_at(service: Service, body: dict[str, Any], pointer: str) -> None:
    answer = service.client.post("/api-keys", json={"name": "k"} | body, headers=FIRST)
    assert pointers(problem(answer, 422)) == {pointer}


def test_the_operator_makes_tenants_and_their_admins_do_not(service: Service) -> None:
    theirs = make(service, tenant="vision", scopes=["admin"])
    assert make(service, tenant="vision")["tenant"] == theirs["tenant"] != tenants.DEFAULT_TENANT
    key = bearer(theirs["key"])
    assert make(service, key)["tenant"] == theirs["tenant"]
    refused = service.client.post("/api-keys", json={"name": "k", "tenant": "other"}, headers=key)
    problem(refused, 403, "not_operator")
    assert [row["name"] for row in service.client.get("/tenants", headers=key).json()["items"]] == ["vision"]
    problem(service.client.put(f"/tenants/{theirs['tenant']}/quotas", json={}, headers=key), 403, "not_operator")


def test_without_keys_none_are_made(client: TestClient) -> None:
    problem(client.post("/api-keys", json={"name": "k"}), 409, "keyless")
    assert client.get("/api-keys").json()["items"] == []


@pytest.mark.services
def test_processes_that_start_at_once_make_one_first_tenant(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Eight threads with pools of their own, on a database that has nothing yet."""
    for mode in ("embedded", "full"):
        folder = tmp_path / mode
        folder.mkdir()
        settings = settings_of(mode, request, folder, api_key=SecretStr(FIRST_KEY))
        settings.data_dir.mkdir(parents=True)
        Database(settings.resolved_database_url).migrate()
        contexts = [open_context(settings, None, None, InProcessDoorbell()) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(context.prepare) for context in contexts]:
                done.result()
        with contexts[0].database.read() as session:
            assert session.scalars(select(ApiKey.tenant_id)).all() == [tenants.DEFAULT_TENANT]
        for context in contexts:
            context.database.close()


# Quotas


def limited(service: Service, **quotas: int) -> dict[str, str]:
    """Headers of a tenant with these quotas."""
    created = make(service, tenant="limited")
    answer = service.client.put(f"/tenants/{created['tenant']}/quotas", json=quotas, headers=FIRST)
    assert answer.status_code == 200, answer.text
    assert answer.json()["limits"] == {"running_jobs": 0, "queued_jobs": 0, "stored_bytes": 0} | quotas
    return bearer(created["key"])


def submit(service: Service, headers: dict[str, str], query: str = "") -> Any:
    body = {"dataset": {"named": "digits"}, "student": "retort:resnet8", "config": {"recipe": "cross_entropy"}}
    return service.client.post(f"/jobs{query}", json=body, headers=headers)


def test_a_dry_run_says_that_the_queue_is_full_and_takes_no_place_in_it(service: Service) -> None:
    headers = limited(service, queued_jobs=1)
    for _ in range(2):
        assert submit(service, headers, "?dry_run=true").status_code == 200
    assert submit(service, headers).status_code == 202
    answers = [submit(service, headers, query) for query in ("", "?dry_run=true")]
    documents = [problem(answer, 429, "quota_exceeded") for answer in answers]
    assert documents[0] == documents[1]
    assert len({answer.headers["retry-after"] for answer in answers}) == 1


def test_no_more_jobs_wait_than_may(service: Service) -> None:
    headers = limited(service, queued_jobs=2)
    jobs = [submit(service, headers).json()["id"] for _ in range(2)]
    answer = submit(service, headers)
    document = problem(answer, 429, "quota_exceeded")
    assert document["details"] == {"quota": "queued_jobs", "limit": 2, "used": 2}
    assert int(answer.headers["retry-after"]) > 0
    assert document["retryable"]
    assert submit(service, FIRST).status_code == 202  # others are not in the way
    assert service.client.post(f"/jobs/{jobs[0]}/pause", headers=headers).status_code == 202
    assert submit(service, headers).status_code == 202
    problem(service.client.post(f"/jobs/{jobs[0]}/resume", headers=headers), 429, "quota_exceeded")


def test_many_requests_at_once_do_not_pass_the_quota(service: Service) -> None:
    headers = limited(service, queued_jobs=3)
    submit(service, headers)
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(submit(service, headers).status_code)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [202] * 2 + [429] * 6


def upload_of(service: Service, headers: dict[str, str], size: int) -> Any:
    body = {"filename": "f", "size_bytes": size, "purpose": "teacher"}
    return service.client.post("/uploads", json=body, headers=headers)


@pytest.mark.parametrize("how", ["upload", "register"])
def test_many_requests_at_once_do_not_pass_the_quota_of_bytes(
    service: Service, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """All are told at first that there is room; the store is slow, so all are there when the first one is written."""
    size, most = len(safetensors()), 8
    headers = limited(service, stored_bytes=2 * size)
    together = threading.Barrier(most)
    noun, part, name = ("/uploads", service.objects.parts, "begin") if how == "upload" else (
        "/teachers", service.objects, "put"
    )  # fmt: skip
    original = getattr(part, name)

    def slow(*given: Any) -> Any:
        together.wait(within(20))
        return original(*given)

    monkeypatch.setattr(part, name, slow)

    def send(_: int) -> int:
        answer = upload_of(service, headers, size) if how == "upload" else post_teacher(service.client, headers=headers)
        return int(answer.status_code)

    with ThreadPoolExecutor(most) as pool:
        assert sorted(pool.map(send, range(most))) == [201] * 2 + [403] * 6
    assert len(service.client.get(noun, headers=headers).json()["items"]) == 2
    tenants = service.client.get("/tenants", headers=FIRST).json()["items"]
    assert [each["used"]["stored_bytes"] for each in tenants if each["name"] == "limited"] == [2 * size]
    assert len(list(service.objects.keys("teachers/"))) == (2 if how == "register" else 0)


def test_what_was_made_is_replayed_however_full_the_store_is(service: Service) -> None:
    size = len(safetensors())
    headers = limited(service, stored_bytes=2 * size) | {"Idempotency-Key": "k"}
    first, teacher = upload_of(service, headers, size), headers | {"Idempotency-Key": "t"}
    made = post_teacher(service.client, headers=teacher)
    assert (first.status_code, made.status_code) == (201, 201)
    assert upload_of(service, headers, size).json() == first.json()
    assert post_teacher(service.client, headers=teacher).json() == made.json()
    problem(upload_of(service, headers | {"Idempotency-Key": "new"}, size), 403, "quota_exceeded")
    problem(upload_of(service, headers, size + 1), 422, "idempotency_key_reused")


def test_no_more_bytes_are_kept_than_may(service: Service) -> None:
    size = len(safetensors())
    headers = limited(service, stored_bytes=2 * size)
    upload = {"filename": "f", "size_bytes": size, "purpose": "teacher"}
    made = service.client.post("/uploads", json=upload, headers=headers)
    assert made.status_code == 201
    teacher = post_teacher(service.client, headers=headers)
    assert teacher.status_code == 201, teacher.text
    document = problem(post_teacher(service.client, headers=headers), 403, "quota_exceeded")
    assert document["details"] == {"quota": "stored_bytes", "limit": 2 * size, "used": 2 * size, "wanted": size}
    problem(service.client.post("/uploads", json=upload, headers=headers), 403, "quota_exceeded")
    assert service.client.delete(made.headers["location"], headers=headers).status_code == 204
    assert post_teacher(service.client, headers=headers).status_code == 201
    assert service.client.delete(teacher.headers["location"], headers=headers).status_code == 204


# Rate limits


def test_a_key_that_asks_too_often_waits(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    values = {"api_key": SecretStr(FIRST_KEY), "rate_limit_per_second": 0.5, "rate_limit_burst": 3}
    with serving("embedded", settings_of("embedded", request, tmp_path, **values), tmp_path) as service:
        other = bearer(make(service)["key"])
        assert [service.client.get("/jobs", headers=FIRST).status_code for _ in range(3)] == [200, 200, 429]
        answer = service.client.get("/jobs", headers=FIRST)
        document = problem(answer, 429, "rate_limited")
        assert document["retryable"]
        assert 1 <= int(answer.headers["retry-after"]) <= 2
        assert service.client.get("/jobs", headers=other).status_code == 200
        assert service.client.get("/livez").status_code == 200
        time.sleep(2.1)
        assert service.client.get("/jobs", headers=FIRST).status_code == 200


@given(st.floats(0.1, 1000), st.integers(1, 100), st.lists(st.floats(0, 10), max_size=300))
def test_a_bucket_gives_its_burst_and_its_rate_and_no_more(rate: float, burst: int, pauses: list[float]) -> None:
    limiter, now, taken = Limiter(rate, burst), 0.0, 0
    for pause in [0.0] * (burst + 1) + pauses:
        now += pause
        wait = limiter.take("k", now)
        taken += wait == 0
        assert 0 <= wait <= 1 / rate + 1e-9
        if wait:
            assert limiter.take(f"other {len(limiter._buckets)}", now) == 0
            assert taken >= burst
        assert taken <= burst + now * rate + 1e-6


def test_buckets_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.state.limiting.MOST_BUCKETS", 10)
    limiter = Limiter(1, 1)
    for number in range(10):
        limiter.take(str(number), 0.0)
    limiter.take("new", 100.0)
    assert set(limiter._buckets) == {"new"}
    assert Limiter(0, 1).take("k") == 0


# Without keys


@pytest.mark.parametrize("address", ["10.0.0.7", "::ffff:10.0.0.7", "fe80::1%eth0", "192.0.2.1", "0.0.0.0"])
def test_without_keys_other_machines_are_refused_wherever_it_listens(
    client: TestClient, driver: Driver, address: str
) -> None:
    elsewhere = TestClient(client.app, base_url="http://127.0.0.1:8000", client=(address, 4711))
    problem(elsewhere.get("/jobs"), 403, "client_not_local")
    problem(elsewhere.get("/livez"), 403, "client_not_local")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
def test_without_keys_this_machine_is_served(client: TestClient, address: str) -> None:
    here = TestClient(client.app, base_url="http://127.0.0.1:8000", client=(address, 4711))
    assert here.get("/jobs").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1@evil.example", "[", "", "0"])
def test_without_keys_every_host_must_be_loopback(client: TestClient, host: str) -> None:
    problem(client.get("/jobs", headers={"Host": host}), 403, "host_not_allowed")
    both = [("Host", "127.0.0.1:8000"), ("Host", host)]
    problem(client.get("/jobs", headers=both), 403, "host_not_allowed")


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://127.0.0.1:8001", "http://[", "file://"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_without_keys_pages_of_other_origins_write_nothing(client: TestClient, method: str, origin: str) -> None:
    problem(client.request(method, "/uploads", headers={"Origin": origin}), 403, "origin_not_allowed")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"host": "0.0.0.0"}, "RETORT_API_KEY"),
        ({"host": "192.168.1.5", "api_key": "short"}, "guessable"),
        ({"api_key": "changeme"}, "guessable"),
        ({"s3_endpoint": "http://s3:9000"}, "S3_ACCESS_KEY"),
        ({"s3_endpoint": "http://s3", "s3_access_key": "a", "s3_secret_key": "minioadmin"}, "guessable"),
        ({"database_url": "postgresql+psycopg://retort:retort@postgres/retort"}, "guessable password"),
        ({"database_url": "postgresql+psycopg://u:changeme@10.0.0.1/db"}, "guessable password"),
        ({"redis_url": "redis://redis"}, "SQLite"),
    ],
)
def test_default_secrets_are_refused(values: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=says):
        Settings(data_dir=tmp_path, **values)


def test_secrets_of_ones_own_are_taken(tmp_path: Path) -> None:
    Settings(data_dir=tmp_path, host="0.0.0.0", api_key=SecretStr(FIRST_KEY))
    Settings(data_dir=tmp_path, database_url="postgresql+psycopg://retort:x7Jq-2mPf@postgres/retort")
    Settings(data_dir=tmp_path, database_url="postgresql+psycopg://retort:retort@127.0.0.1/retort")
