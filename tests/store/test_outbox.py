"""The outbox on both databases: with its transition or not at all, one try at a time, nothing lost."""

from __future__ import annotations

import base64
import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from store import signing
from store.clock import db_now
from store.database import Database
from store.ids import new_id
from store.repositories import figures, jobs, leases, outbox, webhooks
from store.repositories.leases import Ending
from store.repositories.outbox import Due
from store.repositories.tenants import DEFAULT_TENANT
from store.tables import Delivery, Job, Tenant, Webhook
from tests.store.support import claimed, new_dataset, new_job


def hook(database: Database, events: str = "*", tenant: str = DEFAULT_TENANT, **values: Any) -> str:
    row = Webhook(id=new_id("whk"), tenant_id=tenant, url="https://1.1.1.1/", events=events, secret="s", **values)
    with database.write() as session:
        session.add(row)
    return row.id


def messages(database: Database, webhook_id: str) -> list[tuple[str, dict[str, Any]]]:
    with database.read() as session:
        rows = session.scalars(select(Delivery).where(Delivery.webhook_id == webhook_id).order_by(Delivery.id))
        return [(row.type, row.payload["data"]) for row in rows]


def take(database: Database, message_id: str, hold_seconds: float = 60) -> Due | None:
    with database.write() as session:
        return outbox.take(session, message_id, hold_seconds)


def due(database: Database) -> list[str]:
    with database.read() as session:
        return [waiting.id for waiting in outbox.due(session)]


def test_every_change_of_status_leaves_a_message(database: Database) -> None:
    everything, few = hook(database), hook(database, "job.running,job.failed")
    job_id = new_job(database)
    lease = claimed(database, job_id)
    with database.write() as session:
        leases.settle(session, lease, Ending("failed", "failed", {"code": "x"}))
    told = [(kind, data["status"], data["attempt"]) for kind, data in messages(database, everything)]
    assert told == [("job.queued", "queued", 0), ("job.running", "running", 1), ("job.failed", "failed", 1)]
    assert {data["job_id"] for _, data in messages(database, everything)} == {job_id}
    assert [kind for kind, _ in messages(database, few)] == ["job.running", "job.failed"]


def test_a_change_that_is_rolled_back_tells_nothing(database: Database) -> None:
    webhook_id, job_id = hook(database), new_job(database)

    def cancel_and_break() -> None:
        with database.write() as session:
            jobs.request_cancel(session, session.get_one(Job, job_id))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        cancel_and_break()
    assert [kind for kind, _ in messages(database, webhook_id)] == ["job.queued"]


def test_only_ones_own_and_enabled_webhooks_are_told(database: Database) -> None:
    with database.write() as session:
        session.add(Tenant(id="tnt_other", name="other"))
    others, off, on = hook(database, tenant="tnt_other"), hook(database, enabled=False), hook(database)
    new_job(database)
    assert [len(messages(database, each)) for each in (others, off, on)] == [0, 0, 1]


def test_of_many_who_want_a_message_one_gets_it(database: Database) -> None:
    hook(database)
    new_job(database)
    (message_id,) = due(database)
    with ThreadPoolExecutor(8) as pool:
        taken = [found for found in pool.map(lambda _: take(database, message_id), range(24)) if found]
    assert [found.tries for found in taken] == [1]
    assert due(database) == []


def test_a_message_whose_sender_died_is_due_again(database: Database) -> None:
    hook(database)
    new_job(database)
    (message_id,) = due(database)
    lost = take(database, message_id, hold_seconds=0)
    again = take(database, message_id)
    assert lost is not None
    assert again is not None
    assert (lost.id, lost.tries, again.tries) == (again.id, 1, 2)
    with database.write() as session:
        assert not outbox.note(session, lost, "delivered", {"at": "late"})  # not its try any more
        assert outbox.note(session, again, "delivered", {"at": "now"})
        assert session.get_one(Delivery, message_id).log == {"tries": [{"at": "now"}]}


def test_each_webhook_has_one_message_due_at_a_time(database: Database) -> None:
    first, second = hook(database), hook(database)
    dataset_id = new_dataset(database)
    for _ in range(5):
        new_job(database, dataset_id)
    with database.read() as session:
        assert sorted(waiting.webhook_id for waiting in outbox.due(session)) == sorted([first, second])


def test_tenants_take_turns(database: Database) -> None:
    """However many webhooks one has and however old its messages are; whose tries are on their way comes later."""
    with database.write() as session:
        session.add(Tenant(id="tnt_other", name="other"))
    many = [hook(database) for _ in range(5)]
    new_job(database)
    other = hook(database, tenant="tnt_other")
    with database.write() as session:
        outbox.add(session, other, "job.queued", {})
        assert [waiting.tenant_id for waiting in outbox.due(session, 2)] == [DEFAULT_TENANT, "tnt_other"]
        (first,) = outbox.due(session, 1, {many[0]: DEFAULT_TENANT})
        assert (first.webhook_id, first.tenant_id) == (other, "tnt_other")
        busy = {many[0]: DEFAULT_TENANT, other: "tnt_other"}
        assert sorted(waiting.webhook_id for waiting in outbox.due(session, 9, busy)) == sorted(many[1:])


def test_a_failed_try_waits_and_the_log_keeps_the_last_few(database: Database) -> None:
    hook(database)
    new_job(database)
    (message_id,) = due(database)
    for number in range(outbox.KEPT_TRIES + 5):
        taken = take(database, message_id)
        assert taken is not None
        with database.write() as session:
            outbox.note(session, taken, "pending", {"number": number})
    taken = take(database, message_id)
    assert taken is not None
    with database.write() as session:
        outbox.note(session, taken, "pending", {"number": "last"}, wait_seconds=3600)
    assert due(database) == []
    with database.read() as session:
        log = session.get_one(Delivery, message_id).log["tries"]
    assert len(log) == outbox.KEPT_TRIES
    assert log[-1] == {"number": "last"}


def test_the_age_of_what_waits_counts_from_when_it_was_due(database: Database) -> None:
    webhook_id = hook(database)

    def age() -> float:
        with database.read() as session:
            return figures.read(session, 60).message_oldest_seconds

    with database.write() as session:
        message_id = outbox.add(session, webhook_id, outbox.TEST, {}).id
        session.execute(update(Delivery).values(created_at=db_now(-20 * 86400), status="failed", tries=3))
    with database.write() as session:
        outbox.send_again(session, session.get_one(Delivery, message_id))
    assert age() < 60
    with database.write() as session:
        session.execute(update(Delivery).values(next_at=db_now(-1000)))
    assert 1000 <= age() < 1060
    assert take(database, message_id) is not None
    assert age() == 0


def test_disabling_gives_up_what_waits_and_enabling_starts_anew(database: Database) -> None:
    webhook_id = hook(database)
    new_job(database)
    with database.write() as session:
        assert webhooks.failed(session, webhook_id) >= 0
        webhooks.disable(session, webhook_id, "test")
    assert due(database) == []
    new_job(database)
    assert len(messages(database, webhook_id)) == 1
    with database.write() as session:
        webhooks.enable(session, session.get_one(Webhook, webhook_id))
        outbox.send_again(session, session.scalars(select(Delivery)).one())
    assert len(due(database)) == 1


def test_old_messages_go_and_waiting_ones_stay(database: Database) -> None:
    hook(database)
    new_job(database)
    taken = take(database, due(database)[0])
    assert taken is not None
    with database.write() as session:
        outbox.note(session, taken, "delivered", {})
        assert outbox.forget(session, 3600) == 0
    new_job(database)
    with database.write() as session:
        assert outbox.forget(session, -1) == 1
        assert session.scalars(select(Delivery.status)).all() == ["pending"]


def test_the_published_example_of_standard_webhooks() -> None:
    """The vector of the specification's reference libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    made = signing.headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert (made["webhook-id"], made["webhook-timestamp"]) == ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330")


@given(st.binary(min_size=24, max_size=64), st.binary(), st.integers(0, 2**40))
def test_a_signature_is_the_hmac_of_id_time_and_body(key: bytes, body: bytes, timestamp: int) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    plain = hmac.new(key, b"msg_1." + str(timestamp).encode() + b"." + body, hashlib.sha256).digest()
    assert signing.sign(secret, "msg_1", timestamp, body) == "v1," + base64.b64encode(plain).decode()


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_?", "whsec_" + "A" * 28, "A" * 44, "whsec_" + "A" * 92])
def test_weak_or_foreign_secrets_are_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        signing.key_of(secret)
    assert len(signing.key_of(signing.new_secret())) == 32
