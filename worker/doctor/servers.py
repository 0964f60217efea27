"""Checks of what others run: database, Redis, object store, and whether their clocks agree with ours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from kombu.exceptions import OperationalError as BrokerError
from sqlalchemy import select, type_coerce

from store.clock import UTCDateTime, db_now
from store.database import AWAY, Database, alembic_config
from store.doorbell import celery_app
from store.ids import new_id
from store.objects import ObjectMissing, StorageUnavailable, open_store
from store.objects.base import describe, verify
from store.settings import Settings
from worker.doctor.report import Finding, fail, ok, warn

SKEW_SECONDS = 30.0
SLOW_SECONDS = 1.0


def database(settings: Settings, opened: Database) -> Iterator[Finding]:
    """Whether it answers, how fast, and has exactly our tables."""
    if settings.embedded and not (settings.data_dir / "retort.db").exists() and not settings.database_url:
        yield warn("database", "there is none yet", "`retort serve` makes it at its first start.")
        return
    started = time.perf_counter()
    try:
        opened.ping()
    except AWAY as error:
        remedy = "Start the database, or correct RETORT_DATABASE_URL."
        yield fail("database", f"does not answer: {_first_line(error)}", remedy)
        return
    seconds = time.perf_counter() - started
    kind = opened.engine.dialect.name
    if seconds > SLOW_SECONDS:
        yield warn("database", f"{kind} took {seconds:.1f} s to answer", "See its load and the network to it.")
    else:
        yield ok("database", f"{kind} answers in {1000 * seconds:.0f} ms")
    yield _migration(opened)


def _migration(opened: Database) -> Finding:
    heads = set(ScriptDirectory.from_config(alembic_config(opened.url)).get_heads())
    with opened.engine.connect() as connection:
        current = set(MigrationContext.configure(connection).get_current_heads())
    if current == heads:
        return ok("migrations", f"at {', '.join(sorted(heads))}")
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config(opened.url)).walk_revisions()}
    if current - known:
        remedy = "Run the version of Retort that the database was migrated with, or a newer one."
        return fail(
            "migrations", f"the database is at {', '.join(sorted(current))}, which this version does not know", remedy
        )
    at = ", ".join(sorted(current)) or "nothing"
    return fail(
        "migrations", f"the database is at {at}, the code at {', '.join(sorted(heads))}", "alembic upgrade head"
    )


def clock(settings: Settings, opened: Database) -> Iterator[Finding]:
    """Leases know only the database's clock; certificates, S3 signatures and webhooks know ours."""
    before = datetime.now(UTC)
    with opened.read() as session:
        theirs = session.scalar(select(type_coerce(db_now(), UTCDateTime())))
    assert theirs is not None
    ours = before + (datetime.now(UTC) - before) / 2
    skew = (theirs - ours).total_seconds()
    if abs(skew) <= SKEW_SECONDS:
        yield ok("clock", f"within {abs(skew):.1f} s of the database's")
    else:
        remedy = "Let both machines keep time by NTP. Leases are unaffected, S3 and webhook signatures are not."
        yield warn("clock", f"{abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} the database's", remedy)


def redis(settings: Settings) -> Iterator[Finding]:
    if settings.embedded:
        yield ok("doorbell", "in this process (no Redis: embedded)")
        return
    try:
        with celery_app(settings.redis_url).connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
        yield ok("doorbell", "Redis answers")
    except (BrokerError, OSError) as error:
        remedy = (
            f"Start Redis, or correct RETORT_REDIS_URL. Until then jobs start up to {settings.sweep_seconds:g} s late."
        )
        yield warn("doorbell", f"Redis does not answer: {_first_line(error)}", remedy)


def objects(settings: Settings) -> Iterator[Finding]:
    """Puts an object, reads it back, compares, removes it."""
    key, where = f"doctor/{new_id('probe')}", settings.s3_endpoint or str(settings.data_dir.absolute() / "objects")
    try:
        store = open_store(settings)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "probe"
            path.write_bytes(key.encode() * 1000)
            store.put(key, path)
            whole = verify(store, describe(key, path))
            store.delete(key)
    except (StorageUnavailable, ObjectMissing, OSError) as error:
        remedy = "Start it, correct RETORT_S3_ENDPOINT and the keys, or free its disk; see docs/operations.md."
        yield fail("objects", f"{where}: {_first_line(error)}", remedy)
        return
    if whole:
        yield ok("objects", f"{where} takes, keeps and removes an object")
    else:
        yield fail("objects", f"{where} returns other bytes than it was given", "Do not use this store.")


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
