"""Holds a lease while an inspection goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sqlalchemy.orm import Session

from store.database import AWAY, Database
from store.repositories.leases import LeaseLost
from store.settings import Settings


class Leaving(Exception):
    """The worker shuts down; another one inspects later."""


class Keeper:
    """Renews a lease while an inspection goes on; a moment without the database is no reason to give up. `renew` writes
    that, and raises `LeaseLost`; `name`: of what is held."""

    def __init__(
        self, settings: Settings, database: Database, leaving: threading.Event, name: str,
        renew: Callable[[Session], None],
    ) -> None:  # fmt: skip
        self._settings, self._database, self._leaving = settings, database, leaving
        self._name, self._renew = name, renew
        self._renewed = time.monotonic()

    def check(self) -> None:
        """Call often. Raises `Leaving`, `LeaseLost`."""
        if self._leaving.is_set():
            raise Leaving
        now = time.monotonic()
        if now - self._renewed < self._settings.renew_seconds:
            return
        try:
            with self._database.write() as session:
                self._renew(session)
            self._renewed = now
        except AWAY as error:
            if now - self._renewed > self._settings.lease_seconds:
                raise LeaseLost(self._name) from error
