"""A throw-away Postgres."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from uuid import uuid4

import psycopg

from store.database import Database
from tests.services.processes import Server, find_program, free_ports, missing

INSTALLED = Path("/usr/lib/postgresql")
#: Tests may lose data; they must not wait for a disk.
FAST = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=200")

#: All rows, whatever refers to whatever, and what numbers have been given.
EMPTY = """
SET session_replication_role = replica;
DO $$ DECLARE each record; BEGIN
    FOR each IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        EXECUTE format('DELETE FROM %I', each.tablename);
    END LOOP;
    FOR each IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' LOOP
        EXECUTE format('ALTER SEQUENCE %I RESTART', each.sequencename);
    END LOOP;
END $$
"""
SCHEMA = """
SELECT 'relation', c.oid::text, concat_ws(' ', c.relname, c.relkind, c.relnatts, c.relchecks, c.relhastriggers)
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
UNION ALL SELECT 'constraint', oid::text, conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'setting', setrole::text, setconfig::text FROM pg_db_role_setting
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL SELECT 'version', '', version_num FROM alembic_version
ORDER BY 1, 2, 3
"""


class Postgres:
    """`new_database()` gives a test an empty database of its own, `lend()` one that has its tables."""

    def __init__(self, folder: Path) -> None:
        folders = sorted(INSTALLED.glob("*/bin"), reverse=True) if INSTALLED.is_dir() else []
        initdb, postgres = find_program("initdb", folders), find_program("postgres", folders)
        if initdb is None or postgres is None:
            missing("Postgres", "install the package postgresql")
        assert initdb is not None
        assert postgres is not None
        (self.port,) = free_ports(1)
        # Not below pytest's folder: any other pytest that starts makes the common parent private to root again.
        self._data = Path(mkdtemp(prefix="retort-postgres-"))
        if os.geteuid() == 0:
            shutil.chown(self._data, "postgres", "postgres")
        subprocess.run(
            [*_as_postgres(), initdb, "-D", str(self._data), "-U", "retort", "--auth=trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=self._data,
        )
        listen = ("-p", str(self.port), "-k", str(self._data), "-c", "listen_addresses=127.0.0.1")
        self.server = Server([*_as_postgres(), postgres, "-D", str(self._data), *listen, *FAST], folder)
        self._idle: list[str] = []
        self._as_made: dict[str, Any] = {}

    def start(self) -> None:
        self.server.start(self._answers)

    def stop(self) -> None:
        """SIGINT is Postgres's fast shutdown: connections are cut, transactions rolled back."""
        self.server.stop(signal.SIGINT)

    def crash(self) -> None:
        """SIGQUIT is Postgres's immediate shutdown: nothing is put in order, the next start recovers."""
        self.server.stop(signal.SIGQUIT)

    def remove(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)

    def restart(self) -> None:
        self.stop()
        self.start()

    def new_database(self, template_url: str = "") -> str:
        """SQLAlchemy URL of a new database: empty, or a copy of one that nobody is connected to."""
        name = f"t{uuid4().hex}"
        like = f' TEMPLATE "{template_url.rpartition("/")[2]}"' if template_url else ""
        with self._connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}"{like}')  # type: ignore[call-overload]
        return f"postgresql+psycopg://retort@127.0.0.1:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        with self._connect() as connection:
            connection.execute(f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)')  # type: ignore[call-overload]

    def lend(self) -> str:
        """URL of a database with all tables and no row: one that was given back, or a new one. To make one takes a
        third of a second of processor time, to empty one a hundredth."""
        if self._idle:
            return self._idle.pop()
        url = self.new_database()
        database = Database(url)
        database.migrate()
        database.close()
        self._as_made[url] = self._schema(url)
        return url

    def take_back(self, url: str) -> None:
        """Whoever still knows the database does not find it again. One whose tables are not as they were is dropped,
        and so is one that somebody does not let go."""
        as_made = self._as_made.pop(url)
        name, renamed = url.rpartition("/")[2], f"t{uuid4().hex}"
        with self._connect() as connection:
            gone = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(gone, [name])
            try:
                connection.execute(f'ALTER DATABASE "{name}" RENAME TO "{renamed}"')  # type: ignore[call-overload]
            except psycopg.errors.ObjectInUse:
                self.drop_database(url)
                return
        kept = url.replace(name, renamed)
        if self._schema(kept) != as_made:
            self.drop_database(kept)
            return
        with self._connect(renamed) as connection:
            connection.execute(EMPTY)
        self._as_made[kept] = as_made
        self._idle.append(kept)

    def _schema(self, url: str) -> Any:
        """What tells whether tables, columns, constraints or settings of a database have changed."""
        with self._connect(url.rpartition("/")[2]) as connection:
            if connection.execute("SELECT to_regclass('public.alembic_version')").fetchone() == (None,):
                return None
            return connection.execute(SCHEMA).fetchall()

    def _connect(self, name: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="retort", dbname=name, autocommit=True, connect_timeout=5
        )

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.Error:
            return False
        return True


@contextmanager
def running(folder: Path) -> Iterator[Postgres]:
    postgres = Postgres(folder)
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.stop()
        postgres.remove()


def _as_postgres() -> list[str]:
    """Postgres refuses to run as root."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return ["runuser", "-u", "postgres", "--"]
    return [setpriv, "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
