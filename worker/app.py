"""The Celery worker: `celery -A worker.app worker --pool threads`, or `python -m worker`.

Celery only carries the doorbell. The slots start before the consumer connects, so they work by sweeping when Redis is
down, at the start or later; at shutdown (SIGTERM) they hand their jobs over.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps, signals

from distill.errors import RetortError
from store import logs, tracing
from store.database import Database
from store.doorbell import TASK, celery_app
from store.objects import open_store
from store.settings import read_settings
from worker.isolation.required import demanded
from worker.processes import slot
from worker.slots.pool import SlotPool

log = logging.getLogger(__name__)
settings = read_settings()
app = celery_app(settings.redis_url)
pools: list[SlotPool] = []


class Slots(bootsteps.StartStopStep):  # type: ignore[misc] # Celery has no types
    """A part of Celery's worker that starts before and stops after its consumer."""

    requires = {"celery.worker.components:Pool"}  # noqa: RUF012 - Celery's own protocol

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        kind = getattr(worker.pool_cls, "__module__", str(worker.pool_cls))
        if "prefork" in kind:
            raise SystemExit("The slots live in the worker's own process: start it with --pool threads (or solo).")
        try:
            slot.demanded(settings)
            demanded(settings)
        except RetortError as error:
            raise SystemExit(f"{error.message} {error.remedy}") from error

    def start(self, worker: Any) -> None:
        database = Database(settings.resolved_database_url)
        pools.append(SlotPool(settings, database, open_store(settings)))
        pools[-1].start()

    def stop(self, worker: Any) -> None:
        while pools:
            pools.pop().shutdown(handover=True)

    terminate = stop


class Connected(bootsteps.StartStopStep):  # type: ignore[misc] # Celery has no types
    """A step of Celery's consumer that runs whenever Redis is back: it wakes the slots, since doorbell messages sent in
    between are lost."""

    requires = {"celery.worker.consumer.tasks:Tasks"}  # noqa: RUF012 - Celery's own protocol

    def start(self, consumer: Any) -> None:
        for pool in pools:
            pool.wake()


app.steps["worker"].add(Slots)
app.steps["consumer"].add(Connected)


@signals.setup_logging.connect  # type: ignore[untyped-decorator] # whoever listens here is asked instead of Celery
def set_up_logging(**options: Any) -> None:
    logs.install(settings)
    tracing.start(settings, "retort-worker")


@app.task(name=TASK)  # type: ignore[untyped-decorator] # Celery has no types
def wake(noun: str, resource_id: str) -> None:
    """Somebody rang: look at the database."""
    for pool in pools:
        pool.wake()
