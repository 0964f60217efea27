"""What somebody tries who wants the service to contradict itself: everything at once, at one job, upload or key."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from store.repositories import leases
from store.repositories.leases import Ending, LeaseLost
from store.states import TRANSITIONS
from store.tables import Attempt, JobEvent
from tests.api.checks import problem
from tests.api.modes import MODES, Service, serving, settings_of
from tests.api.test_keys import FIRST, FIRST_KEY, bearer, make
from tests.slowness import within
from tests.waiting import until

ACTIONS = ("cancel", "stop", "pause", "resume", "retry")
CALLERS, CALLS = 20, 6
ANSWERS = {200, 202, 204, 404, 409}


@pytest.fixture(params=MODES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    settings = settings_of(request.param, request, tmp_path)
    with serving(request.param, settings, tmp_path) as running:
        yield running


def everybody(service: Service, job_id: str, deleting: bool) -> set[int]:
    """Twenty callers do what comes to their mind, and a worker takes the job whenever it can; all statuses seen."""
    ended, seen = threading.Event(), set[int]()

    def call(number: int) -> None:
        dice = random.Random(number)
        for _ in range(CALLS):
            action = dice.choice((*ACTIONS, "show", *(["delete"] if deleting else [])))
            seen.add(_act(service, job_id, action).status_code)

    worker = threading.Thread(target=_work, args=(service, job_id, ended))
    worker.start()
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(call, range(CALLERS)))
    ended.set()
    worker.join()
    return seen


def _act(service: Service, job_id: str, action: str) -> httpx.Response:
    if action == "show":
        return service.client.get(f"/jobs/{job_id}")
    if action == "delete":
        return service.client.delete(f"/jobs/{job_id}", params={"cancel": True})
    return service.client.post(f"/jobs/{job_id}/{action}")


def _work(service: Service, job_id: str, ended: threading.Event) -> None:
    """Claim it and end the attempt, in any way that a worker does."""
    dice = random.Random(0)
    error = {"code": "trainer_crashed", "message": "m", "remedy": "r", "fault": "system", "retryable": True}
    wanted = [Ending("succeeded", "succeeded"), Ending("failed", "failed", error), Ending("queued", "failed", error)]
    while not ended.wait(0.01):
        with service.database.write() as session:
            lease = leases.claim(session, job_id, "wrk_test", 60)
        if lease is not None:
            ended.wait(dice.random() / 50)
            with suppress(LeaseLost), service.database.write() as session:
                leases.settle(session, lease, dice.choice(wanted))


def test_twenty_at_one_job_leave_a_history_that_the_table_allows(service: Service) -> None:
    job_id = service.driver.job()
    seen = everybody(service, job_id, deleting=False)
    assert seen <= ANSWERS - {204, 404}
    assert {202, 409} <= seen
    with service.database.read() as session:
        rows = session.execute(
            select(JobEvent.seq, JobEvent.kind, JobEvent.data).where(JobEvent.job_id == job_id).order_by(JobEvent.seq)
        ).all()
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    course = [row.data["status"] for row in rows if row.kind == "status"]
    for before, after in pairwise(course):
        assert after in TRANSITIONS[before], course
    assert service.client.get(f"/jobs/{job_id}").json()["status"] == course[-1]


def test_twenty_at_a_job_that_is_deleted_leave_nothing_of_it(service: Service) -> None:
    job_id = service.driver.job()
    assert everybody(service, job_id, deleting=True) <= ANSWERS
    if service.client.get(f"/jobs/{job_id}").status_code == 200:  # a worker's attempt was the last to end
        assert service.client.delete(f"/jobs/{job_id}", params={"cancel": True}).status_code == 204
    with service.database.read() as session:
        for table in (JobEvent, Attempt):
            assert session.scalar(select(func.count()).select_from(table).where(table.job_id == job_id)) == 0


def test_an_upload_completed_by_many_at_once_is_complete_once(service: Service) -> None:
    content = random.Random(0).randbytes(200_000)
    digest = hashlib.sha256(content).hexdigest()
    body = {"purpose": "dataset", "filename": "f.zip", "size_bytes": len(content), "sha256": digest}
    made = service.client.post("/uploads", json=body).json()
    for part in service.client.get(f"/uploads/{made['id']}/parts").json()["items"]:
        piece = content[part["offset"] : part["offset"] + part["size_bytes"]]
        assert service.client.put(f"/uploads/{made['id']}/parts/{part['number']}", content=piece).status_code == 200
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: service.client.post(f"/uploads/{made['id']}/complete"), range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert {(answer.json()["status"], answer.json()["sha256"]) for answer in answers} == {("complete", digest)}
    (key,) = service.objects.keys(f"uploads/{made['id']}/")
    assert b"".join(service.objects.read(key)) == content


@pytest.fixture(params=MODES)
def keyed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    settings = settings_of(request.param, request, tmp_path, api_key=SecretStr(FIRST_KEY), rate_limit_per_second=0)
    with serving(request.param, settings, tmp_path) as running:
        yield running


def test_a_stream_ends_with_its_key(keyed: Service) -> None:
    """Its job goes on; the key that is revoked hears no more of it."""
    job_id, key = keyed.driver.job(), make(keyed)
    headers = bearer(key["key"]) | {"Accept": "text/event-stream"}
    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(keyed.client.get, f"/jobs/{job_id}/events", headers=headers)
        watch: Any = keyed.client.app
        until(lambda: watch.state.context.watch.watched(job_id))
        assert keyed.client.delete(f"/api-keys/{key['id']}", headers=FIRST).status_code == 204
        answer = stream.result(within(30))
    assert answer.status_code == 200
    assert keyed.client.get(f"/jobs/{job_id}", headers=FIRST).json()["status"] == "queued"
    problem(keyed.client.get(f"/jobs/{job_id}/events", headers=headers), 401, "unauthorized")


@pytest.mark.services
def test_a_database_that_takes_no_writes_is_read_and_loses_nothing(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A standby, or a server whose operator has stopped writes: also the first use of a key is no write then."""
    settings = settings_of("full", request, tmp_path, api_key=SecretStr(FIRST_KEY), rate_limit_per_second=0)
    plain, name = settings.database_url.replace("+psycopg", ""), settings.database_url.rpartition("/")[2]
    with serving("full", settings, tmp_path) as service:
        service.inspector.verdict = None  # it would only find that it cannot write
        job_id, key = service.driver.job(), make(service)

        def set_read_only(value: str) -> None:
            with psycopg.connect(plain, autocommit=True) as connection:
                connection.execute("SET default_transaction_read_only = off")
                connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}')  # type: ignore[call-overload]
                others = "datname = current_database() AND pid <> pg_backend_pid()"
                # The time waits for their end: one that is being ended may serve a request more and fail the next.
                ended = f"SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE {others}"
                connection.execute(ended)  # type: ignore[call-overload]

        set_read_only("on")
        headers = bearer(key["key"])
        until(lambda: service.client.get("/jobs", headers=headers).status_code == 200)
        refused = service.client.post(f"/jobs/{job_id}/cancel", headers=headers)
        problem(refused, 503, "database_unavailable")
        assert int(refused.headers["retry-after"]) > 0
        set_read_only("off")
        until(lambda: service.client.get("/jobs", headers=headers).status_code == 200)
        assert service.client.get(f"/jobs/{job_id}", headers=headers).json()["status"] == "queued"
        assert service.client.post(f"/jobs/{job_id}/cancel", headers=headers).status_code == 202
