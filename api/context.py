"""What every request needs, opened once a process."""

from __future__ import annotations

from dataclasses import dataclass, field

from api import incoming
from api.limiting import Limiter
from store.database import Database
from store.doorbell import Doorbell, open_doorbell
from store.objects import ObjectStore, open_store
from store.repositories import tenants
from store.settings import Settings


@dataclass(frozen=True)
class Context:
    """Settings and the three things that they name."""

    settings: Settings
    database: Database
    objects: ObjectStore
    doorbell: Doorbell
    limiter: Limiter
    noted_keys: dict[str, float] = field(default_factory=dict)  # key's id -> when its use was last written down

    def prepare(self) -> None:
        """Remove what a killed process left; make the first tenant and its key. The schema must be there."""
        incoming.sweep(self.settings)
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
    return Context(
        settings,
        database or Database(settings.resolved_database_url),
        objects or open_store(settings),
        doorbell or open_doorbell(settings),
        Limiter(settings.rate_limit_per_second, settings.rate_limit_burst),
    )
