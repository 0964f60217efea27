"""Engine, transactions and migrations. One request or one task is one transaction."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.exc import DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import ORMExecuteState, Session

from store.answering import connection_class

FRESH_SECONDS = 0.2
#: Longest wait for one answer of a server where nobody waits for an answer of ours: some deletions take minutes.
ANSWER_SECONDS = 300.0
#: Longest wait for a free connection of the pool, which is as large as all that use it at once.
POOL_SECONDS = 5.0
IDLE_MILLISECONDS, BUSY_MILLISECONDS = 60_000, 30_000
DEADLOCK, MIGRATION_TRIES = "40P01", 10
#: The database did not answer (or is locked): the same transaction may work later.
AWAY = (OperationalError, InterfaceError, PoolTimeout)
MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


WRITES = "A session that only reads was asked to write: use Database.write()."


class _Reading(Session):
    """Refuses to write: on a server that would be kept whatever becomes of the request, and on SQLite lost."""


@event.listens_for(_Reading, "do_orm_execute")
def _refuse_statement(state: ORMExecuteState) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        raise RuntimeError(WRITES)


@event.listens_for(_Reading, "before_flush")
def _refuse_flush(session: Session, *_: Any) -> None:
    if session.new or session.dirty or session.deleted:
        raise RuntimeError(WRITES)


class Database:
    """A pool of connections to one URL. `write()` and `read()` are the two kinds of transaction.

    No answer of a server is awaited for more than `answer_seconds` (None: five minutes); after that a call raises
    `OperationalError`. Where it is given, the server itself ends statements that take so long, and transactions that
    stand still for longer: their locks keep others waiting.
    """

    def __init__(self, url: str, answer_seconds: float | None = None) -> None:
        self.url = url
        self.engine = _sqlite_engine(url) if url.startswith("sqlite") else _server_engine(url, answer_seconds)
        self._reading = _reader(self.engine)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that commits at the end of the block, or rolls back on any exception."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Only reads. On SQLite one transaction that takes no write lock; on a server each statement sees what is
        committed, as in a READ COMMITTED transaction, without the round trips of its BEGIN and COMMIT."""
        with _Reading(self._reading, expire_on_commit=False) as session, session.begin():
            yield session

    def migrate(self, revision: str = "head") -> None:
        """Bring the schema to `revision`. Safe to call from several processes: they go one after the other, by
        a lock of the server, or of a file beside SQLite's (`migrations/env.py`).

        A running service may hold one table that the migration wants while it waits for another that the migration
        has: Postgres then ends one of the two. Where it is the migration, nothing of it was kept, and it begins anew.
        """
        for left in range(MIGRATION_TRIES - 1, -1, -1):
            try:
                command.upgrade(alembic_config(self.url), revision)
                return
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", None) != DEADLOCK or not left:
                    raise
                time.sleep(1)

    def ping(self) -> None:
        """Raise unless the database answers."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def forget(self) -> None:
        """Leave nothing on SQLite's disk of rows that are gone. `secure_delete` overwrites them in the file; the log
        holds them until it is emptied here. Where somebody reads or writes for too long, the next call does it.
        A server forgets by its own vacuum."""
        if self.engine.dialect.name != "sqlite":
            return
        with self.engine.connect().execution_options(retort_no_transaction=True) as connection:
            for pragma in ("busy_timeout=200", "wal_checkpoint(TRUNCATE)", f"busy_timeout={BUSY_MILLISECONDS}"):
                connection.exec_driver_sql(f"PRAGMA {pragma}")

    def close(self) -> None:
        self.engine.dispose()


def alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def _server_engine(url: str, limit_seconds: float | None) -> Engine:
    answer_seconds = limit_seconds or ANSWER_SECONDS
    # Without time limits of its own a connection to a machine that vanished blocks for a quarter of an hour.
    connecting = max(2, min(10, int(answer_seconds)))  # libpq takes 1 for 2
    limits = {"connect_timeout": connecting, "keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3}
    engine = create_engine(
        url, pool_size=10, max_overflow=20, pool_timeout=POOL_SECONDS, pool_recycle=1800, connect_args=limits
    )
    connections = connection_class(answer_seconds)
    event.listen(engine, "do_connect", lambda _dialect, _record, given, named: connections.connect(*given, **named))
    event.listen(engine, "handle_error", _away_if_read_only)
    if limit_seconds is not None:
        event.listen(engine, "connect", lambda connection, _record: _limit(connection, limit_seconds))
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _ping_idle)
    return engine


def _away_if_read_only(context: ExceptionContext) -> None:
    """A server that takes no writes (a standby, a disk that is filling) is away for them: psycopg's error is of a kind
    that is no use to try again."""
    error = context.original_exception
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        raise OperationalError(context.statement, None, error) from error


def _limit(connection: Any, seconds: float) -> None:
    """The server's own limits, a little shorter than ours: a connection on which it keeps them can be used again."""
    milliseconds = int(seconds * 900)
    connection.execute(f"SET statement_timeout = {milliseconds}")
    connection.execute(f"SET idle_in_transaction_session_timeout = {max(milliseconds, IDLE_MILLISECONDS)}")
    connection.commit()


def _reader(engine: Engine) -> Engine:
    options: dict[str, Any] = {"retort_read_only": True}
    if engine.dialect.name == "postgresql":
        options["isolation_level"] = "AUTOCOMMIT"
    return engine.execution_options(**options)


def _note_use(connection: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _ping_idle(connection: Any, record: Any, proxy: Any) -> None:
    """A restarted server costs one reconnect, not one failed request; a connection that was good a moment ago is not
    asked, because that is a round trip more for every request."""
    if time.monotonic() - record.info.get("used", 0.0) < FRESH_SECONDS:
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error as error:
        raise DisconnectionError from error  # the pool throws its old connections away and tries a new one


def _sqlite_engine(url: str) -> Engine:
    path = url.removeprefix("sqlite:///")
    if path and path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    sizes = {"pool_size": 10, "max_overflow": 30, "pool_timeout": POOL_SECONDS} if path and path != ":memory:" else {}
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False}, **sizes)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    pragmas = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON")
    for pragma in (*pragmas, f"busy_timeout={BUSY_MILLISECONDS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads and then writes fails at once with SQLITE_BUSY when another one wrote in
    # between, whatever the time-out; taking the write lock first makes it wait instead.
    options = connection.get_execution_options()
    if not options.get("retort_no_transaction"):
        connection.exec_driver_sql("BEGIN" if options.get("retort_read_only") else "BEGIN IMMEDIATE")
