"""What every request needs, opened once a process."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.exc import IntegrityError

from api import incoming
from api.exposition import Exposition
from api.in_flight import InFlight
from api.lanes import Lanes
from api.limiting import Limiter
from api.readiness import Readiness
from api.remembering import Memory
from api.watching import Watch
from store.database import Database
from store.doorbell import Doorbell, open_doorbell
from store.objects import ObjectStore, open_store
from store.repositories import tenants
from store.settings import Settings

KEY_SECONDS = 1.0


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
    lanes: Lanes = field(default_factory=Lanes)
    in_flight: InFlight = field(default_factory=InFlight)
    known_keys: Memory = field(default_factory=lambda: Memory(KEY_SECONDS))  # key's hash -> Caller
    noted_keys: dict[str, float] = field(default_factory=dict)  # key's id -> when its use was last written down

    def prepare(self) -> None:
        """Remove what a killed process left; make the first tenant and its key. The schema must be there."""
        incoming.sweep(self.settings)
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
    objects = objects or open_store(settings, settings.s3_answer_seconds)
    doorbell = doorbell or open_doorbell(settings)
    database = database or Database(settings.resolved_database_url, settings.database_answer_seconds)
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
