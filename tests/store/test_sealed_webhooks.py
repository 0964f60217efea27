"""Webhooks' secrets in the database: sealed with a key, opened by who has it, and brought along up and down."""

from __future__ import annotations

import base64

import pytest
from alembic import command
from sqlalchemy import select, text

from store import signing
from store.database import Database, alembic_config
from store.ids import new_id
from store.repositories import outbox, secrets, webhook_secrets
from store.repositories.tenants import DEFAULT_TENANT
from store.sealing import SealBroken, Sealer
from store.sealing_anew import seal_anew
from store.settings import Settings
from store.tables import Secret, Webhook

OLD, NEW = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
SECRET = signing.new_secret()
BEFORE = "0017"


def keyed(keys: str) -> Settings:
    return Settings(secrets_key=keys)


def hook(database: Database, sealer: Sealer | None) -> str:
    with database.write() as session:
        row = Webhook(id=new_id("whk"), tenant_id=DEFAULT_TENANT, url="https://x/", events="*")
        webhook_secrets.keep(row, SECRET, sealer)
        session.add(row)
        session.flush()
        outbox.add(session, row.id, outbox.TEST, {})
    return row.id


def stored(database: Database) -> list[tuple[str, str | None]]:
    with database.read() as session:
        return [(row.secret, row.sealed) for row in session.scalars(select(Webhook).order_by(Webhook.id))]


def secret_of_next(database: Database, sealer: Sealer | None) -> str | SealBroken:
    with database.write() as session:
        (waiting,) = outbox.due(session)
        due = outbox.take(session, waiting.id, -1.0, sealer)  # the hold is over at once: it can be taken again
    assert due is not None
    return due.secret


def test_a_sealed_secret_signs_and_stands_nowhere(database: Database) -> None:
    sealer = Sealer.of_text(OLD)
    hook(database, sealer)
    ((open_one, sealed),) = stored(database)
    assert (open_one, sealed is not None and sealed.startswith(f"{sealer.first}.")) == ("", True)
    with database.engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM webhooks")).one()
    assert not any(SECRET[6:] in str(value) for value in row)
    assert secret_of_next(database, sealer) == SECRET


def test_without_its_key_the_try_says_so_and_nothing_is_lost(database: Database) -> None:
    hook(database, Sealer.of_text(OLD))
    for sealer in (None, Sealer.of_text(NEW)):
        found = secret_of_next(database, sealer)
        assert isinstance(found, SealBroken)
        assert found.code == "secret_unreadable"
    assert secret_of_next(database, Sealer.of_text(f"{NEW},{OLD}")) == SECRET


def test_a_seal_does_not_open_in_another_webhooks_row(database: Database) -> None:
    sealer = Sealer.of_text(OLD)
    hook(database, sealer)
    with database.write() as session:
        row = session.scalars(select(Webhook)).one()
        copied = Webhook(id=new_id("whk"), tenant_id=row.tenant_id, url="https://y/", events="*", sealed=row.sealed)
        with pytest.raises(SealBroken):
            webhook_secrets.of(copied, sealer)


def test_a_key_that_comes_later_or_anew_seals_what_is_there(database: Database) -> None:
    hook(database, None)
    assert stored(database) == [(SECRET, None)]
    assert seal_anew(keyed(""), database) == 0
    assert seal_anew(keyed(OLD), database) == 1
    with database.write() as session:
        secrets.put(session, Sealer.of_text(OLD), DEFAULT_TENANT, "hub", {"token": "hf_one"})
    assert seal_anew(keyed(OLD), database) == 0
    assert seal_anew(keyed(f"{NEW},{OLD}"), database) == 2
    only = Sealer.of_text(NEW)
    assert secret_of_next(database, only) == SECRET
    with database.read() as session:
        assert secrets.opened(only, session.get_one(Secret, (DEFAULT_TENANT, "hub"))) == {"token": "hf_one"}


def test_what_no_key_opens_is_left_as_it_is(database: Database) -> None:
    hook(database, Sealer.of_text(OLD))
    before = stored(database)
    assert seal_anew(keyed(NEW), database) == 0
    assert stored(database) == before


def earlier(url: str) -> None:
    """A webhook as the release before kept it."""
    with Database(url).engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO webhooks (id, tenant_id, url, description, events, secret, enabled, created_at) "
                "SELECT 'whk_1', id, 'https://x/', '', '*', :secret, :yes, created_at FROM tenants"
            ),
            {"secret": SECRET, "yes": True},
        )


@pytest.mark.parametrize("key", ["", OLD])
def test_up_and_down_bring_it_along(database_url: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETORT_SECRETS_KEY", key)
    config = alembic_config(database_url)
    command.upgrade(config, BEFORE)
    database = Database(database_url)
    with database.engine.begin() as connection:
        tenant = "INSERT INTO tenants (id, name, created_at) VALUES (:id, 'default', CURRENT_TIMESTAMP)"
        connection.execute(text(tenant), {"id": DEFAULT_TENANT})
    earlier(database_url)
    command.upgrade(config, "head")
    ((secret, sealed),) = stored(database)
    assert (secret, sealed is None) == (("", False) if key else (SECRET, True))
    if key:
        monkeypatch.setenv("RETORT_SECRETS_KEY", "")
        with pytest.raises(RuntimeError):
            command.downgrade(config, BEFORE)
        assert stored(database) == [("", sealed)]
        monkeypatch.setenv("RETORT_SECRETS_KEY", key)
    command.downgrade(config, BEFORE)
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT secret FROM webhooks")).scalars().all() == [SECRET]
    database.close()
