"""Everything that is sealed, by the first key: after a release that kept it open, and after a new key."""

from __future__ import annotations

import logging

from store.database import Database
from store.repositories import secrets, webhook_secrets
from store.settings import Settings

log = logging.getLogger(__name__)


def seal_anew(settings: Settings, database: Database) -> int:
    """How many values were sealed; 0 without a key. Any number of workers may, whenever."""
    sealer = settings.sealer
    if sealer is None:
        return 0
    with database.write() as session:
        done = secrets.seal_all(session, sealer) + webhook_secrets.seal_all(session, sealer)
    if done:
        log.info("sealed %d secrets by the first of the service's keys", done)
    return done
