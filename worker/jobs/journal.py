"""A trainer's events on their way into the database: buffered, in order, each once, though the database may be away."""

from __future__ import annotations

import logging
import time

from sqlalchemy.orm import Session

from distill.types import Event
from store.database import AWAY
from store.repositories import recording
from store.repositories.leases import LeaseLost
from worker.jobs.holding import Holding

log = logging.getLogger(__name__)
BATCH, FLUSH_SECONDS, AWAY_SECONDS = 200, 0.3, 2.0
MOST_BYTES = 1 << 26  # of a trainer's lines: some hours of an ordinary job's, while the database is away


class Journal:
    """Events are numbered within the attempt; the database knows how many it has, so a batch can be given again."""

    def __init__(self, holding: Holding) -> None:
        self._holding, self._waiting, self._written = holding, list[Event](), 0
        self._next_flush, self._batch = 0.0, BATCH
        self._sizes, self._bytes = list[int](), 0  # of `_waiting`: bytes an event, and in all

    @property
    def written(self) -> int:
        """How many events the database has."""
        return self._written

    @property
    def said(self) -> int:
        """How many there are, written or not."""
        return self._written + len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether so much waits for the database that the trainer had better wait too."""
        return self._bytes >= MOST_BYTES

    def add(self, event: Event, size: int = 0) -> None:
        """`size`: bytes of the line that the event came in."""
        self._waiting.append(event)
        self._sizes.append(size)
        self._bytes += size

    def note(self, level: str, message: str) -> None:
        """A line of the job's log."""
        self.add(Event("log", {"level": level, "message": message}))

    def flush_if_due(self, now: bool = False) -> None:
        """Write what waits, if it is time (or `now`); a database that is away costs nothing but delay. Raises
        `LeaseLost`."""
        if not self._waiting or (not now and time.monotonic() < self._next_flush):
            return
        self._next_flush = time.monotonic() + FLUSH_SECONDS
        try:
            self._write_batch(patient=False)
        except AWAY as error:
            log.warning("%d events wait for the database (%s)", len(self._waiting), str(error).partition("\n")[0])
            self._next_flush = time.monotonic() + AWAY_SECONDS

    def flush(self) -> None:
        """Write everything, however long the database is away. Raises `LeaseLost`."""
        while self._waiting:
            self._write_batch(patient=True)

    def _write_batch(self, patient: bool) -> None:
        batch = self._waiting[: self._batch]
        try:
            following = self._record(batch, patient)
            self._batch = BATCH
        except (LeaseLost, *AWAY):
            raise
        except Exception:
            if len(batch) > 1:
                self._batch = 1  # find the one that cannot be written
                return
            log.exception("an event cannot be recorded and is left out: %.500r", batch[0])
            following = self._record([Event("done")], patient)  # takes its number, writes nothing
        done = following - self._written
        self._bytes -= sum(self._sizes[:done])
        del self._waiting[:done], self._sizes[:done]
        self._written = following

    def _record(self, batch: list[Event], patient: bool) -> int:
        def work(session: Session) -> int:
            return recording.record_batch(session, self._holding.lease, batch, self._written)

        return self._holding.write(work) if patient else self._holding.try_write(work)
