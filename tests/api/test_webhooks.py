"""/webhooks in both storage modes: what is shown, refused, sent again. (Delivery: tests/worker/test_webhooks.py.)"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store import signing
from store.repositories import outbox
from store.tables import Delivery
from tests.api.checks import pointers, problem
from tests.api.modes import MODES, Service, serving, settings_of

URL = "https://1.1.1.1/hook"


@pytest.fixture(params=MODES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    settings = settings_of(request.param, request, tmp_path, max_webhooks=3)
    with serving(request.param, settings, tmp_path) as running:
        yield running


def make(service: Service, **body: Any) -> dict[str, Any]:
    answer = service.client.post("/webhooks", json={"url": URL} | body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/webhooks/{answer.json()['id']}"
    assert answer.headers["cache-control"] == "no-store"
    made: dict[str, Any] = answer.json()
    return made


def test_a_secret_is_shown_once(service: Service) -> None:
    made = make(service)
    assert len(signing.key_of(made.pop("secret"))) == 32
    assert service.client.get(f"/webhooks/{made['id']}").json() == made
    assert service.client.get("/webhooks").json()["items"] == [made]
    own = signing.new_secret()
    assert make(service, secret=own, events=["*"], description="d")["secret"] == own


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"url": "http://1.1.1.1/"}, "/url"),
    ({"url": "https://127.0.0.1/"}, "/url"),
    ({"url": "https://localhost:8000/jobs"}, "/url"),
    ({"url": "https://[::ffff:169.254.169.254]/"}, "/url"),
    ({"url": "https://no-such-name.invalid/"}, "/url"),
    ({"url": "ftp://1.1.1.1/"}, "/url"),
    ({"url": ""}, "/url"),
    ({"url": URL, "events": ["job.exploded"]}, "/events/0"),
    ({"url": URL, "events": []}, "/events"),
    ({"url": URL, "secret": "whsec_short"}, "/secret"),
    ({"url": URL, "secret": "x" * 200}, "/secret"),
    ({"url": URL, "colour": "red"}, "/colour"),
    ({}, "/url"),
]


def test_what_is_refused_leaves_nothing(service: Service) -> None:
    for body, where in REFUSED:
        document = problem(service.client.post("/webhooks", json=body), 422)
        assert pointers(document) == {where}, body
    assert service.client.get("/webhooks").json()["items"] == []


def test_no_more_than_the_quota(service: Service) -> None:
    for _ in range(3):
        make(service)
    problem(service.client.post("/webhooks", json={"url": URL}), 403, "quota_exceeded")


def test_a_job_is_told_and_the_message_is_listed(service: Service) -> None:
    made = make(service, events=["job.succeeded"])
    job_id = service.driver.job()
    service.driver.succeed(job_id)
    (found,) = service.client.get(f"/webhooks/{made['id']}/deliveries").json()["items"]
    assert found["payload"]["data"] == {"job_id": job_id, "status": "succeeded", "attempt": 1}
    assert (found["type"], found["status"], found["tries"], found["log"]) == ("job.succeeded", "pending", 0, [])


def test_a_test_message_and_sending_again(service: Service) -> None:
    path = f"/webhooks/{make(service)['id']}"
    sent = service.client.post(f"{path}/test")
    assert sent.status_code == 202
    assert sent.json()["type"] == "webhook.test"
    message_id = sent.json()["id"]
    with service.database.write() as session:
        taken = outbox.take(session, message_id, 60)
        assert taken is not None
        entry = {"at": "2026-01-31T12:00:00Z", "status_code": 500, "error": None, "seconds": 0.1, "answer": "no"}
        outbox.note(session, taken, "failed", entry)
    (listed,) = service.client.get(f"{path}/deliveries").json()["items"]
    assert (listed["status"], listed["log"], listed["next_try_at"]) == ("failed", [entry], None)
    again = service.client.post(f"{path}/deliveries/{message_id}/redeliver")
    assert again.status_code == 202
    assert (again.json()["id"], again.json()["status"], again.json()["tries"]) == (message_id, "pending", 0)
    problem(service.client.post(f"{path}/deliveries/msg_none/redeliver"), 404, "not_found")


def test_a_disabled_webhook_sends_nothing_until_it_is_enabled(service: Service) -> None:
    from store.repositories import webhooks

    webhook_id = make(service)["id"]
    with service.database.write() as session:
        webhooks.disable(session, webhook_id, "it answered 410 Gone")
    problem(service.client.post(f"/webhooks/{webhook_id}/test"), 409, "webhook_disabled")
    shown = service.client.get(f"/webhooks/{webhook_id}").json()
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "it answered 410 Gone")
    assert service.client.post(f"/webhooks/{webhook_id}/enable").json()["enabled"]
    assert service.client.post(f"/webhooks/{webhook_id}/test").status_code == 202


def test_a_deleted_webhook_takes_its_messages_along(service: Service) -> None:
    webhook_id = make(service)["id"]
    service.client.post(f"/webhooks/{webhook_id}/test")
    assert service.client.delete(f"/webhooks/{webhook_id}").status_code == 204
    problem(service.client.get(f"/webhooks/{webhook_id}"), 404, "not_found")
    with service.database.read() as session:
        assert session.query(Delivery).count() == 0
