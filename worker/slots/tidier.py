"""Looks from time to time for what is to go by its age. In a thread of its own: a large store takes minutes to list,
and housekeeping must not wait for it."""

from __future__ import annotations

import logging
import random
import threading

from store.database import AWAY, Database
from store.objects import ObjectStore, StorageUnavailable
from store.settings import Settings
from store.tidying import tidy

log = logging.getLogger(__name__)
JOIN_SECONDS = 5.0


class Tidier:
    """A daemon: what it is doing when the worker leaves is done again by another."""

    def __init__(self, settings: Settings, database: Database, objects: ObjectStore, leaving: threading.Event) -> None:
        self._settings, self._database, self._objects, self._leaving = settings, database, objects, leaving
        self._thread = threading.Thread(target=self._run, name="tidy", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        # Not at once: workers that start together would all look through the whole store together.
        pause = self._settings.tidy_seconds * random.random()
        while not self._leaving.wait(pause):
            pause = self._settings.tidy_seconds
            try:
                tidy(self._settings, self._database, self._objects, self._leaving.is_set)
            except (*AWAY, StorageUnavailable) as error:
                log.warning("nothing is tidied: %s", str(error).partition("\n")[0])
            except Exception:
                log.exception("tidying failed")
