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
from uuid import uuid4

import psycopg

from tests.services.processes import Server, find_program, free_ports, missing

INSTALLED = Path("/usr/lib/postgresql")
#: Tests may lose data; they must not wait for a disk.
FAST = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=200")


class Postgres:
    """`new_database()` gives every test its own empty database."""

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

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="retort", dbname="postgres", autocommit=True, connect_timeout=5
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
