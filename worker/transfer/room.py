"""How many bytes a tenant may still store, checked while a file of unknown size arrives."""

from __future__ import annotations

from dataclasses import dataclass, replace

from store.database import Database
from store.repositories import quotas
from store.settings import Settings
from worker.errors import QuotaExceeded


@dataclass(frozen=True, slots=True)
class Room:
    """`limit` bytes (None: no limit), of which `used` are kept and `coming` have been fetched for the same row."""

    limit: int | None = None
    used: int = 0
    coming: int = 0

    def less(self, fetched: int) -> Room:
        """The room that is left once a file of `fetched` bytes of the same row has arrived."""
        return replace(self, coming=self.coming + fetched)

    def check(self, wanted: int) -> None:
        """Raise `QuotaExceeded` where a file of `wanted` bytes, or that many of it so far, is too much."""
        more = self.coming + wanted
        if self.limit is not None and self.used + more > self.limit:
            raise QuotaExceeded(
                f"You keep {self.used:,} bytes and may keep {self.limit:,}; this would add at least {more:,}.",
                "Delete jobs, teachers, datasets or uploads that you no longer need, or name smaller files.",
                {"quota": "stored_bytes", "limit": self.limit, "used": self.used, "wanted": more},
            )


ENDLESS = Room()


def room_of(settings: Settings, database: Database, tenant_id: str) -> Room:
    """The tenant's, as it is now: others may fill it while a file comes, so look again before it is stored."""
    with database.read() as session:
        most = quotas.of(session, settings, tenant_id).stored_bytes
        return Room(most, quotas.stored_bytes(session, tenant_id)) if most else ENDLESS
