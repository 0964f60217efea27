"""What this worker can build and read, published for the API, which must not load torch to know it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from store.database import Database
from store.ids import new_id
from store.repositories import system
from store.settings import Settings
from worker.inspecting.process import COMMAND, run
from worker.processes import scratch

log = logging.getLogger(__name__)
KINDS = ("architecture", "dataset", "optimizer")


def publish(
    settings: Settings, database: Database, check: Callable[[], None], command: Sequence[str] = COMMAND
) -> bool:
    """Ask a process that may load torch, and write its answer. False (and a line in the log) when it has none."""
    with scratch.folder(settings.scratch, new_id("cat"), 1) as folder:
        answer = run(command, "catalogue", folder, {}, settings, check)
    if "report" not in answer:
        log.error("no catalogue: %s", answer["error"]["message"])
        return False
    with database.write() as session:
        for kind in KINDS:
            system.publish(session, kind, answer["report"][kind])
    return True


def published(database: Database) -> bool:
    """Whether some worker of this release has published: an older one knew fewer kinds."""
    with database.read() as session:
        return all(system.catalogue_size(session, kind) > 0 for kind in KINDS)
