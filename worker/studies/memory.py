"""What a worker keeps of a study from step to step: trials that have ended, which nobody changes any more, so that a
step reads what is new. Everything here can be lost at any time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from distill.search.plan import Tried
from store.repositories import trials
from store.tables import Study, Trial


class Memory:
    """Of one study, for one thread."""

    def __init__(self) -> None:
        self._version = 0
        self._known: list[Trial] = []
        self._tried: dict[int, tuple[Any, Tried]] = {}

    def trials(self, session: Session, study: Study) -> list[Trial]:
        """All trials of the study in their order. Those that have ended are apart from the session, and their jobs may
        be gone meanwhile; the study's row must be locked."""
        if study.event_seq < self._version:  # a database that was put back
            self._known, self._tried = [], {}
        self._version = study.event_seq
        going_on = [number for number, trial in enumerate(self._known) if trial.state == "active"]
        for trial in trials.behind(session, study.id, len(self._known), going_on):
            self._known[trial.number : trial.number + 1] = [trial]
        found = list(self._known)
        for number, trial in enumerate(found):
            if trial in session:
                if trial.state == "active":
                    # The step may write to it and be undone: the next one reads it again.
                    self._known[number] = Trial(number=number, state="active")
                else:
                    session.expunge(trial)
        return found

    def tried(self, number: int, of: list[Trial], is_open: bool, make: Callable[[], Tried]) -> Tried:
        """The configuration `number` as a strategy is told it: as it was, where nothing of it has changed."""
        known = self._known
        if not all(trial.number < len(known) and known[trial.number] is trial for trial in of):
            return make()
        key = (is_open, len(of))
        kept = self._tried.get(number)
        if kept is None or kept[0] != key:
            kept = self._tried[number] = (key, make())
        return kept[1]
