"""A claim kept alive: renewed from a thread of its own, fenced by our own monotonic clock when it cannot be."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy.orm import Session

from store.database import AWAY, Database
from store.repositories import leases
from store.repositories.leases import Lease, LeaseLost
from store.settings import Settings
from store.states import Status

log = logging.getLogger(__name__)
T = TypeVar("T")
POLL_SECONDS = 1.0


class Holding:
    """`status` is the job's, at most a second old while the database answers. `lost`: stop and write nothing.

    The time of the last renewal is taken before it is sent, so ours always runs out before the database's.
    """

    def __init__(self, settings: Settings, database: Database, lease: Lease) -> None:
        self.lease = lease
        self.status: Status = "running"
        self._settings, self._database = settings, database
        self._renewed, self._taken = time.monotonic(), False
        self._wake, self._closing = threading.Event(), False
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._keep,), daemon=True, name=f"lease-{lease.job_id}"
        )

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closing = True
        self._wake.set()
        self._thread.join(10)

    @property
    def lost(self) -> bool:
        return self._taken or time.monotonic() - self._renewed > self._settings.lease_seconds

    def poke(self) -> None:
        """Look at the job now: somebody rang."""
        self._wake.set()

    def write(self, work: Callable[[Session], T]) -> T:
        """Do `work` in a transaction, again and again while the database is away. Raises `LeaseLost`.

        `work` may run again after a commit whose answer was lost, so it must bear repetition.
        """
        pause = 0.1
        while True:
            try:
                return self.try_write(work)
            except AWAY as error:
                log.warning("%s: the database is away (%s)", self.lease.job_id, _first_line(error))
            time.sleep(pause)
            pause = min(pause * 2, 5.0)

    def try_write(self, work: Callable[[Session], T]) -> T:
        """Do `work` in a transaction, once. Raises `LeaseLost`, or one of `AWAY`."""
        if self.lost:
            raise LeaseLost(self.lease.job_id)
        try:
            with self._database.write() as session:
                return work(session)
        except LeaseLost:
            self._taken = True
            raise

    def _keep(self) -> None:
        while not self._closing and not self._taken:
            self._wake.wait(min(POLL_SECONDS, self._settings.renew_seconds))
            self._wake.clear()
            if not self._closing:
                self._look()

    def _look(self) -> None:
        now = time.monotonic()
        due = now - self._renewed >= self._settings.renew_seconds
        try:
            self.status = self._renew(now) if due else self._read()
        except LeaseLost:
            self._taken = True
        except AWAY as error:
            log.warning("%s: cannot look at the lease (%s)", self.lease.job_id, _first_line(error))

    def _renew(self, now: float) -> Status:
        with self._database.write() as session:
            status = leases.renew(session, self.lease, self._settings.lease_seconds)
        self._renewed = now
        return status

    def _read(self) -> Status:
        with self._database.read() as session:
            return leases.status_of(session, self.lease)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
