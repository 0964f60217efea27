"""Deliveries to real receivers: signed, tried again, bounded, never where they must not go."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from store import egress, signing
from store.clock import db_now
from store.database import Database
from store.ids import new_id
from store.repositories import outbox, webhooks
from store.repositories.tenants import DEFAULT_TENANT
from store.settings import Settings
from store.tables import Dataset, Delivery, Tenant, Webhook
from tests.slowness import within
from tests.store.support import migrated, new_dataset, new_job
from tests.store.test_races import overlap
from tests.worker.support import settings_for, wait_until
from worker.webhooks.deliverer import JITTER, LONGEST_SECONDS, MOST_OF_ONE, Deliverer, note, wait_seconds
from worker.webhooks.sending import Try

SECRET = signing.new_secret()
OPEN = {"webhook_http_hosts": "127.0.0.1", "webhook_networks": "127.0.0.0/8", "webhook_retry_seconds": 0}
Answer = Callable[[BaseHTTPRequestHandler, int], None]


def says(status: int, body: bytes = b"ok", **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler, number: int) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


@dataclass
class Receiver:
    """A server that keeps what it gets."""

    answer: Answer = field(default_factory=lambda: says(204, b""))
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def listening(self) -> Iterator[Receiver]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.got.append((self.path, headers, body))
                receiver.answer(self, len(receiver.got))

            def log_message(self, format: str, *args: object) -> None:
                return None

        served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        served.daemon_threads = True
        self.url = f"http://127.0.0.1:{served.server_port}"
        thread = threading.Thread(target=served.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            served.shutdown()
            served.server_close()
            thread.join()


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """Where the database makes no difference, the one that starts fastest."""
    with migrated(sqlite_url) as made:
        yield made


@pytest.fixture
def any_database(each_url: str) -> Iterator[Database]:
    with migrated(each_url) as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().listening() as listening:
        yield listening


@contextmanager
def delivering(database: Database, folder: Path, workers: int = 1, **values: Any) -> Iterator[Settings]:
    settings = settings_for(folder, **OPEN | values)
    leaving = threading.Event()
    threads = [threading.Thread(target=Deliverer(settings, database, leaving).run) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        yield settings
    finally:
        leaving.set()
        for thread in threads:
            thread.join(within(20))
            assert not thread.is_alive()


def hook(database: Database, url: str, events: str = "*", tenant: str = DEFAULT_TENANT) -> str:
    row = Webhook(id=new_id("whk"), tenant_id=tenant, url=url, events=events, secret=SECRET)
    with database.write() as session:
        session.add(row)
    return row.id


def deliveries(database: Database) -> list[Delivery]:
    with database.read() as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def ended(database: Database) -> bool:
    return all(row.status != "pending" for row in deliveries(database))


def read_hook(database: Database, webhook_id: str) -> Webhook:
    with database.read() as session:
        return session.get_one(Webhook, webhook_id)


def test_a_message_is_signed_and_thin(any_database: Database, tmp_path: Path, receiver: Receiver) -> None:
    hook(any_database, receiver.url + "/hook?x=1")
    job_id = new_job(any_database)
    with delivering(any_database, tmp_path):
        wait_until(lambda: ended(any_database))
    ((path, headers, body),) = receiver.got
    assert path == "/hook?x=1"
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    assert headers["content-type"] == "application/json"
    document = json.loads(body)
    assert set(document) == {"type", "timestamp", "data"}
    assert document["type"] == "job.queued"
    assert document["data"] == {"job_id": job_id, "status": "queued", "attempt": 0}
    (row,) = deliveries(any_database)
    assert (row.id, row.status, row.tries) == (headers["webhook-id"], "delivered", 1)
    assert row.log["tries"][0]["status_code"] == 204


def test_a_failure_is_tried_again_under_the_same_id(any_database: Database, tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = lambda request, number: says(503 if number < 3 else 200)(request, number)
    webhook_id = hook(any_database, receiver.url)
    new_job(any_database)
    with delivering(any_database, tmp_path):
        wait_until(lambda: ended(any_database))
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1
    (row,) = deliveries(any_database)
    assert [entry["status_code"] for entry in row.log["tries"]] == [503, 503, 200]
    assert row.status == "delivered"
    assert read_hook(any_database, webhook_id).failing_since is None


def test_it_is_given_up_after_the_last_try(database: Database, tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = says(500, b"x" * 100_000)
    webhook_id = hook(database, receiver.url)
    new_job(database)
    with delivering(database, tmp_path, webhook_tries=3):
        wait_until(lambda: ended(database))
    (row,) = deliveries(database)
    assert (row.status, row.tries, len(receiver.got)) == ("failed", 3, 3)
    assert len(row.log["tries"][0]["answer"]) == 1024
    assert read_hook(database, webhook_id).failing_since is not None


def test_a_redirect_is_not_followed(database: Database, tmp_path: Path, receiver: Receiver) -> None:
    with Receiver().listening() as other:
        receiver.answer = says(307, b"", Location=other.url)
        hook(database, receiver.url)
        new_job(database)
        with delivering(database, tmp_path, webhook_tries=1):
            wait_until(lambda: ended(database))
        assert other.got == []
    assert "redirect" in deliveries(database)[0].log["tries"][0]["error"]


def test_an_endpoint_that_drips_is_left(database: Database, tmp_path: Path, receiver: Receiver) -> None:
    """Each byte comes in time, the whole never does."""

    def drip(request: BaseHTTPRequestHandler, number: int) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(100):
            request.wfile.write(b"x")
            request.wfile.flush()
            time.sleep(0.1)

    receiver.answer = drip
    hook(database, receiver.url)
    new_job(database)
    with delivering(database, tmp_path, webhook_tries=1, webhook_timeout_seconds=1):
        wait_until(lambda: ended(database))
    entry = deliveries(database)[0].log["tries"][0]
    assert entry["error"] == "no complete answer within 1 s"
    assert entry["seconds"] < 3


def test_who_is_slow_delays_nobody_else(database: Database, tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = lambda request, number: time.sleep(3) or says(200)(request, number)
    dataset_id = new_dataset(database)
    with Receiver().listening() as fast:
        hook(database, receiver.url)
        hook(database, fast.url)
        for _ in range(5):
            new_job(database, dataset_id)
        with delivering(database, tmp_path):
            wait_until(lambda: len(fast.got) == 5)
            assert len(receiver.got) <= 2


def other_tenant(database: Database) -> tuple[str, str]:
    """A tenant, and a data set of its own."""
    tenant, dataset = new_id("tnt"), new_id("dst")
    with database.write() as session:
        session.add(Tenant(id=tenant, name=tenant))
        session.flush()
        session.add(Dataset(id=dataset, tenant_id=tenant, name="d", kind="named", status="ready"))
    return tenant, dataset


@pytest.mark.parametrize("dead", [20, 60])
def test_endpoints_that_never_answer_delay_no_other_tenant(any_database: Database, tmp_path: Path, dead: int) -> None:
    """As many as a tenant may have, and more. The other's messages come while those tries are on their way and none of
    them has ended."""
    tenant, dataset = other_tenant(any_database)
    with socket.create_server(("127.0.0.1", 0), backlog=dead) as silent, Receiver().listening() as fast:
        for _ in range(dead):
            hook(any_database, f"http://127.0.0.1:{silent.getsockname()[1]}", tenant=tenant)
        new_job(any_database, dataset, tenant_id=tenant)
        with delivering(any_database, tmp_path, webhook_timeout_seconds=60):
            wait_until(lambda: sum(row.tries for row in deliveries(any_database)) >= MOST_OF_ONE)
            hook(any_database, fast.url)
            for number in range(3):
                new_job(any_database)
                wait_until(lambda number=number: len(fast.got) == number + 1)  # type: ignore[misc]
            wait_until(lambda: sum(row.status == "delivered" for row in deliveries(any_database)) == 3)
            still = [row for row in deliveries(any_database) if row.status == "pending"]
            assert [row.log for row in still] == [{}] * dead
        assert sum(row.tries for row in still) == MOST_OF_ONE


def test_a_silent_server_of_names_delays_nobody_else(
    database: Database, tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lookups are calls of the C library: nothing ends them but their own patience."""
    plain, ended = socket.getaddrinfo, threading.Event()

    def silent(host: Any, *arguments: Any, **named: Any) -> Any:
        if host == "silent.example":
            ended.wait(60)
            raise socket.gaierror("nobody answered")
        return plain(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    monkeypatch.setattr(egress, "RESOLVE_SECONDS", 60)
    tenant, dataset = other_tenant(database)
    for _ in range(20):
        hook(database, "https://silent.example", tenant=tenant)
    new_job(database, dataset, tenant_id=tenant)
    hook(database, receiver.url)
    with delivering(database, tmp_path, webhook_timeout_seconds=60):
        wait_until(lambda: sum(row.tries for row in deliveries(database)) >= MOST_OF_ONE)
        new_job(database)
        wait_until(lambda: len(receiver.got) == 1)
        assert not any(row.log for row in deliveries(database) if row.status == "pending")
        ended.set()


def test_gone_disables_at_once(database: Database, tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = says(410)
    webhook_id = hook(database, receiver.url)
    new_job(database)
    new_job(database)
    with delivering(database, tmp_path):
        wait_until(lambda: ended(database))
    found = read_hook(database, webhook_id)
    assert (found.enabled, found.disabled_reason) == (False, "it answered 410 Gone")
    assert len(receiver.got) == 1


def test_failing_for_long_disables(database: Database, tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = says(500)
    webhook_id = hook(database, receiver.url)
    new_job(database)
    with delivering(database, tmp_path, webhook_disable_seconds=0.5, webhook_retry_seconds=0.02):
        wait_until(lambda: not read_hook(database, webhook_id).enabled)
    assert ended(database)


def test_what_its_owner_enables_meanwhile_stays_enabled(any_database: Database, tmp_path: Path) -> None:
    """A try has failed, and the last success is long ago; before that is noted its owner, who has mended the
    endpoint, enables it."""
    settings = settings_for(tmp_path, **OPEN | {"webhook_disable_seconds": 60})
    webhook_id = hook(any_database, "https://1.1.1.1/")
    new_job(any_database)
    with any_database.write() as session:
        session.execute(update(Webhook).values(failing_since=db_now(-3600)))
        taken = outbox.take(session, outbox.due(session)[0][0], 60)
    assert taken is not None
    failed = Try(500, None)
    reason = overlap(
        any_database,
        lambda session: webhooks.enable(session, session.get_one(Webhook, webhook_id)),
        lambda session: note(session, settings, taken, failed, {"error": "e"}),
    )
    found = read_hook(any_database, webhook_id)
    assert (reason, found.enabled, found.disabled_reason) == ("", True, None)
    assert [row.status for row in deliveries(any_database)] == ["pending"]


def test_a_try_from_before_it_was_enabled_and_sent_again_counts_for_nothing(database: Database, tmp_path: Path) -> None:
    """It answers 410 to a try whose message another try has given up; enabled and sent again, it has its first try."""
    settings, webhook_id = settings_for(tmp_path, **OPEN), hook(database, "https://1.1.1.1/")
    new_job(database)
    with database.write() as session:
        slow = outbox.take(session, outbox.due(session)[0][0], 60)
        assert slow is not None
        webhooks.disable(session, webhook_id, "it answered 410 Gone")
        webhooks.enable(session, session.get_one(Webhook, webhook_id))
        outbox.send_again(session, session.get_one(Delivery, slow.id))
    with database.write() as session:
        assert outbox.take(session, slow.id, 90) is not None
    with database.write() as session:
        assert note(session, settings, slow, Try(410, None), {"error": "e"}) is None
    assert read_hook(database, webhook_id).enabled


@pytest.mark.parametrize("closed", ["webhook_networks", "webhook_http_hosts"])
def test_nothing_is_sent_where_it_may_not_go(
    database: Database, tmp_path: Path, receiver: Receiver, closed: str
) -> None:
    """Also when the row is there already: the name may have changed its address since."""
    hook(database, receiver.url)
    new_job(database)
    with delivering(database, tmp_path, **{closed: ""}, webhook_tries=1):
        wait_until(lambda: ended(database))
    assert receiver.got == []
    assert deliveries(database)[0].log["tries"][0]["status_code"] is None


def test_nobody_listens(database: Database, tmp_path: Path) -> None:
    with Receiver().listening() as gone:
        url = gone.url
    hook(database, url)
    new_job(database)
    with delivering(database, tmp_path, webhook_tries=2):
        wait_until(lambda: ended(database))
    assert "ConnectError" in deliveries(database)[0].log["tries"][0]["error"]


def test_several_workers_deliver_everything_once(any_database: Database, tmp_path: Path, receiver: Receiver) -> None:
    hook(any_database, receiver.url)
    dataset_id = new_dataset(any_database)
    ids = {new_job(any_database, dataset_id) for _ in range(20)}
    with delivering(any_database, tmp_path, workers=3):
        wait_until(lambda: ended(any_database), 60)
    assert sorted(json.loads(body)["data"]["job_id"] for _, _, body in receiver.got) == sorted(ids)
    assert {row.status for row in deliveries(any_database)} == {"delivered"}


def test_sent_again_by_hand(database: Database, tmp_path: Path, receiver: Receiver) -> None:
    hook(database, receiver.url)
    new_job(database)
    with delivering(database, tmp_path):
        wait_until(lambda: ended(database))
        with database.write() as session:
            outbox.send_again(session, session.scalars(select(Delivery)).one())
        wait_until(lambda: len(receiver.got) == 2 and ended(database))
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1


@given(st.floats(0.01, 60), st.integers(1, 50))
def test_waits_grow_to_a_cap(first: float, tries: int) -> None:
    plain = min(first * 3 ** (tries - 1), LONGEST_SECONDS)
    assert plain * (1 - JITTER) <= wait_seconds(first, tries) <= plain * (1 + JITTER)
