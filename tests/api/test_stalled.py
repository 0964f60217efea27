"""One of the servers takes every byte and answers none: what does not need it goes on, what does is told so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from api.app import create_app
from api.state import lanes, readiness
from store.database import Database
from store.doorbell import CeleryDoorbell
from store.objects import open_store
from store.settings import Settings
from tests.api.modes import Service, serving, settings_of
from tests.services.stalling import Stalling, stalling

#: How long the service waits for an answer where a test lets it wait in vain. The others never wait so long.
SHORT_SECONDS, LONG_SECONDS = 4.0, 120.0
Ask = Callable[[], httpx.Response]
CONTENT = b"weights" * 1000


class Site:
    """A service whose servers are behind relays, and a job with a file."""

    def __init__(self, service: Service, relays: dict[str, Stalling]) -> None:
        self.service, self.client, self.relays = service, service.client, relays
        self.job_id = service.driver.job()
        service.driver.succeed(self.job_id, CONTENT)
        self.dataset = service.driver.dataset()

    def download(self) -> httpx.Response:
        return self.client.get(f"/jobs/{self.job_id}/student", params={"redirect": False})

    def submit(self) -> httpx.Response:
        body = {"dataset": self.dataset, "student": {"name": "retort:resnet8"}, "config": {"recipe": "cross_entropy"}}
        return self.client.post("/jobs", json=body)


@contextmanager
def site(
    request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch, **values: Any
) -> Iterator[Site]:
    """The full mode, with every server behind a relay. Tests play the worker, past the relays."""
    settings = settings_of("full", request, folder, **values)
    redis = request.getfixturevalue("redis")
    with ExitStack() as stack:
        ports = {"s3": urlsplit(settings.s3_endpoint).port, "postgres": urlsplit(settings.database_url).port}
        relays = {
            name: stack.enter_context(stalling(int(port or 0)))
            for name, port in (ports | {"redis": redis.port}).items()
        }
        monkeypatch.setattr("tests.api.modes.create_app", lambda *parts: _behind(relays, ports, *parts))
        service = stack.enter_context(serving("full", settings, folder))
        try:
            yield Site(service, relays)
        finally:
            for relay in relays.values():
                relay.flow()


def _behind(relays: dict[str, Stalling], ports: dict[str, int | None], settings: Settings, *_parts: object) -> Any:
    """The app over the same servers by way of the relays."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    given["s3_endpoint"] = f"http://127.0.0.1:{relays['s3'].port}"
    given["database_url"] = settings.database_url.replace(f":{ports['postgres']}/", f":{relays['postgres'].port}/")
    behind = Settings(**given)
    database = Database(behind.database_url, behind.database_answer_seconds)
    objects = open_store(behind, behind.s3_answer_seconds)
    bell = CeleryDoorbell(f"redis://127.0.0.1:{relays['redis'].port}/0")
    return create_app(behind, database, objects, bell)


@contextmanager
def pending(ask: Ask, count: int) -> Iterator[list[Future[httpx.Response]]]:
    """`count` requests on their way at once."""
    with ThreadPoolExecutor(count) as pool:
        yield [pool.submit(ask) for _ in range(count)]


def settled(futures: list[Future[httpx.Response]]) -> int:
    return sum(future.done() for future in futures)


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lane_of(site: Site, name: str) -> lanes.Lane:
    app: Any = site.client.app
    found: lanes.Lane = getattr(app.state.context.lanes, name)
    return found


@pytest.mark.services
def test_a_silent_store_stops_nobody_who_does_not_need_it(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three times as many downloads as there are places: while they hang, everything else is answered; those that find
    no place are refused; and those that wait get their bytes when the store is back."""
    monkeypatch.setattr(lanes, "STALLED_SECONDS", 1.0)
    with site(request, tmp_path, monkeypatch, s3_answer_seconds=LONG_SECONDS) as at:
        assert at.download().content == CONTENT
        at.relays["s3"].stall()
        places = lane_of(at, "storing").places
        with pending(at.download, 3 * places) as downloads:
            until(lambda: settled(downloads) == 2 * places)  # refused
            others = [at.client.get(path).status_code for path in ("/livez", f"/jobs/{at.job_id}", "/jobs", "/system")]
            accepted = at.submit().status_code
            at_once = at.download()
            assert settled(downloads) == 2 * places  # all that while the rest still wait
            assert (others, accepted) == ([200] * 4, 202)
            for refused in (at_once, *(each.result() for each in downloads if each.done())):
                assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
                assert int(refused.headers["retry-after"]) > 0
                assert refused.json()["remedy"]
            at.relays["s3"].flow()
        answers = [each.result() for each in downloads]
        assert sum(each.status_code == 200 and each.content == CONTENT for each in answers) == places
        assert at.download().content == CONTENT


@pytest.mark.services
def test_a_store_that_stays_silent_is_given_up(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion is done all the same: its objects are orphans until they are tidied."""
    with site(request, tmp_path, monkeypatch, s3_answer_seconds=SHORT_SECONDS) as at:
        at.relays["s3"].stall()
        answer = at.download()
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
        assert at.client.delete(f"/jobs/{at.job_id}").status_code == 204
        assert at.client.get(f"/jobs/{at.job_id}").status_code == 404


@pytest.mark.services
def test_a_silent_database_is_told_of_and_recovers(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On connections from before and on new ones. What needs no database is answered meanwhile."""
    monkeypatch.setattr(readiness, "ANSWER_SECONDS", 0.5)
    with site(request, tmp_path, monkeypatch, database_answer_seconds=SHORT_SECONDS) as at:
        assert at.client.get("/jobs").status_code == at.client.get("/openapi.json").status_code == 200
        at.relays["postgres"].stall()
        with pending(lambda: at.client.get("/jobs"), 30) as lists:
            paths = ("/livez", "/openapi.json", "/catalogue/recipes")
            others = [at.client.get(path).status_code for path in paths]
            assert settled(lists) == 0  # all that while these wait
            assert others == [200] * 3
        for answer in (each.result() for each in lists):
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
            assert int(answer.headers["retry-after"]) > 0
        ready = at.client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["database"] != "ok"
        assert ready.json()["objects"] == "ok"
        assert "retort_database_up 0.0" in at.client.get("/metrics").text
        at.relays["postgres"].flow()
        until(lambda: at.client.get("/jobs").status_code == 200)
        assert at.client.get("/readyz").json()["database"] == "ok"


@pytest.mark.services
def test_a_silent_redis_is_waited_for_by_nobody(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even while rings are on their way that nobody takes."""
    monkeypatch.setattr(readiness, "ANSWER_SECONDS", 1.0)
    with site(request, tmp_path, monkeypatch) as at:
        assert at.submit().status_code == 202
        at.relays["redis"].stall()
        with pending(at.submit, 20) as submitted:
            pass
        assert [each.result().status_code for each in submitted] == [202] * 20
        ready = at.client.get("/readyz")
        assert ready.status_code == 200  # work starts at the next sweep
        assert ready.json()["doorbell"] != "ok"


@pytest.mark.parametrize("mode", ["embedded", pytest.param("full", marks=pytest.mark.services)])
def test_a_lock_that_somebody_holds_stops_no_reader(request: pytest.FixtureRequest, tmp_path: Path, mode: str) -> None:
    """More writes wait for it than there are places."""
    settings = settings_of(mode, request, tmp_path)
    with serving(mode, settings, tmp_path) as service:
        job_id = service.driver.job()

        def rename() -> httpx.Response:
            return service.client.patch(f"/jobs/{job_id}", json={"name": "new"})

        with service.database.write() as session:
            session.execute(text("UPDATE jobs SET priority = priority"))
            with_lock = ThreadPoolExecutor(20)
            writes = [with_lock.submit(rename) for _ in range(20)]
            reads = [service.client.get(path).status_code for path in ("/livez", "/jobs", f"/jobs/{job_id}", "/system")]
            waiting = settled(writes)
        with_lock.shutdown()
        assert (reads, waiting) == ([200] * 4, 0)
        assert [each.result().status_code for each in writes] == [200] * 20
