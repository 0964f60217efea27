"""What every request needs, opened once a process: the doors to the store, and this process's own short memory."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import IntegrityError

from api.state.exposition import Exposition
from api.state.lanes import Lanes
from api.state.limiting import Limiter
from api.state.readiness import Readiness
from api.state.watching import Watch
from store.database import Database
from store.doorbell import Doorbell, open_doorbell
from store.objects import ObjectStore, open_store
from store.repositories import tenants
from store.settings import Settings

KEY_SECONDS = 1.0
INCOMING_KEPT_SECONDS = 24 * 3600.0


class Memory:
    """Answers of the database that are good for a moment.

    Forgets each value after `seconds`, and everything when there is too much of it. Safe between threads: every
    operation is one of a dict's.
    """

    def __init__(self, seconds: float, most: int = 10_000) -> None:
        self.seconds, self._most = seconds, most
        self._values: dict[str, tuple[float, Any]] = {}

    def get(self, name: str) -> Any:
        """None for what is not there, or not any more."""
        until, value = self._values.get(name, (0.0, None))
        return value if time.monotonic() < until else None

    def put(self, name: str, value: Any) -> None:
        if len(self._values) >= self._most:
            self._values.clear()
        self._values[name] = (time.monotonic() + self.seconds, value)

    def forget(self) -> None:
        self._values.clear()


class InFlight:
    """Which `Idempotency-Key`s this process is answering now.

    Nothing of it outlives the process, so no crash can leave a key in flight for ever. Safe between threads.
    """

    def __init__(self) -> None:
        self._held: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, tenant_id: str, key: str) -> Iterator[bool]:
        """Whether the key is the block's; False while another request has it."""
        name = (tenant_id, key)
        with self._lock:
            free = name not in self._held
            self._held.add(name)
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._held.discard(name)


@dataclass(frozen=True)
class Context:
    """Settings and the three things that they name."""

    settings: Settings
    database: Database
    objects: ObjectStore
    doorbell: Doorbell
    limiter: Limiter
    watch: Watch
    exposition: Exposition
    readiness: Readiness
    lanes: Lanes
    in_flight: InFlight = field(default_factory=InFlight)
    known_keys: Memory = field(default_factory=lambda: Memory(KEY_SECONDS))  # key's hash -> Caller
    noted_keys: dict[str, float] = field(default_factory=dict)  # key's id -> when its use was last written down

    def prepare(self) -> None:
        """Remove what a killed process left; make the first tenant and its key. The schema must be there."""
        sweep_incoming(self.settings)
        try:
            self._make_first()
        except IntegrityError:  # another process starts at the same moment, and was faster
            self._make_first()

    def _make_first(self) -> None:
        key = self.settings.api_key.get_secret_value()
        with self.database.write() as session:
            tenant = tenants.ensure_default(session)
            if key:
                tenants.ensure_key(session, tenant.id, "first key", key)


def open_context(
    settings: Settings | None, database: Database | None, objects: ObjectStore | None, doorbell: Doorbell | None
) -> Context:
    """A context; what is None is opened from the settings."""
    settings = settings or Settings()
    database = database or Database(settings.resolved_database_url, settings.database_answer_seconds)
    objects = objects or open_store(settings, settings.s3_answer_seconds)
    doorbell = doorbell or open_doorbell(settings)
    lanes = Lanes()
    return Context(
        settings,
        database,
        objects,
        doorbell,
        limiter=Limiter(settings.rate_limit_per_second, settings.rate_limit_burst),
        watch=Watch(database, lanes.reading),
        exposition=Exposition(database, settings.lease_seconds),
        readiness=Readiness(database, objects, doorbell),
        lanes=lanes,
    )


def sweep_incoming(settings: Settings) -> None:
    """Remove what killed processes left of bodies that were arriving: old folders of `settings.incoming`.

    Younger ones stay: another process may still be writing to them.
    """
    for path in settings.incoming.glob("*"):
        with suppress(FileNotFoundError):  # its own process has just removed it
            if path.stat().st_mtime < time.time() - INCOMING_KEPT_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
