"""Carries on all studies: looks which have something to do, and makes a step of each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from distill.search import strategies
from store.database import AWAY, Database
from store.repositories import studies, trials
from store.repositories.studies import GoingOn
from store.settings import Settings

if TYPE_CHECKING:
    from worker.studies.memory import Memory

log = logging.getLogger(__name__)


class Studies:
    """Every worker has one; the lock of a study's row lets one of them step at a time."""

    def __init__(self, settings: Settings, database: Database, wake: Callable[[], None]) -> None:
        self._settings, self._database, self._wake = settings, database, wake
        self._seen: dict[str, int | None] = {}
        self._memories: dict[str, Memory] = {}

    def run_due(self) -> bool:
        """One step of each study that has something to do; whether there was one. Raises one of
        `store.database.AWAY`."""
        with self._database.read() as session:
            found = studies.going_on(session)
            due = [study.id for study in found if self._due(session, study)]
        self._seen = {study.id: self._seen[study.id] for study in found if study.id in self._seen}
        self._memories = {study.id: self._memories[study.id] for study in found if study.id in self._memories}
        stepped = [self._step(study_id) for study_id in due]
        return any(stepped)

    @property
    def busy(self) -> bool:
        """Whether there are studies that may have something to do soon."""
        return bool(self._seen)

    def _due(self, session: Session, study: GoingOn) -> bool:
        """A trial has ended or been validated, or the study has changed since our last step."""
        if self._seen.get(study.id) != study.version or trials.any_ended(session, study.id):
            return True
        return strategies.prunes(study.strategy) and trials.any_validated(session, study.id)

    def _step(self, study_id: str) -> bool:
        # Here: a worker without studies need not import Optuna.
        from worker.studies.memory import Memory
        from worker.studies.step import step

        memory = self._memories.setdefault(study_id, Memory())
        try:
            with self._database.write() as session:
                made = step(session, self._settings, study_id, memory)
        except AWAY:
            raise
        except Exception:  # of one study: the others must go on
            log.exception("%s: its step failed and is tried again", study_id)
            return False
        self._seen[study_id] = made.version
        if made.jobs:
            log.info("%s: %d jobs are new or to stop", study_id, len(made.jobs))
            self._wake()
        return made.version is not None
