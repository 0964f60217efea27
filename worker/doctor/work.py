"""Checks of how the work stands: workers, slots, devices, leases, queue, webhooks, orphans."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select

from store.database import Database
from store.objects import StorageUnavailable, open_store
from store.repositories import figures, system
from store.settings import Settings
from store.tables import Webhook
from store.tidying import orphans
from worker.doctor.report import Finding, fail, ok, warn
from worker.processes import gpus

WAIT_SECONDS = 3600.0


def workers(settings: Settings, opened: Database) -> Iterator[Finding]:
    with opened.read() as session:
        live = system.live_workers(session, settings.lease_seconds)
        found = figures.read(session, settings.lease_seconds)
    slots = sum(worker.slots for worker in live)
    if live:
        yield ok("workers", f"{len(live)} with {slots} slots, {found.leases_held} busy")
    else:
        remedy = "Start `retort serve`, or `python -m worker` with the same RETORT_DATABASE_URL."
        yield warn("workers", "none was heard of lately", remedy)
    if found.leases_expired:
        remedy = f"Any living worker takes them over within {settings.renew_seconds:g} s; if none lives, start one."
        yield (warn if live else fail)("leases", f"{found.leases_expired} jobs are held by silent workers", remedy)
    else:
        yield ok("leases", f"{found.leases_held} held, none stale")
    yield _queue(found, slots)


def _queue(found: figures.Figures, slots: int) -> Finding:
    waiting, age = found.jobs.get("queued", 0), found.queue_oldest_seconds
    said = f"{waiting} jobs wait, the longest for {age:.0f} s"
    if age > WAIT_SECONDS and found.leases_held < slots:
        return warn("queue", said + " though slots are free", "See quotas (GET /tenants) and the workers' logs.")
    return ok("queue", said)


def devices(settings: Settings) -> Iterator[Finding]:
    """Of this machine, if it is a worker's."""
    found = gpus.visible()
    if not found:
        yield ok("devices", f"no GPU here: {settings.slots} trainers share the processors")
    elif settings.slots < len(found):
        remedy = f"Set RETORT_SLOTS={len(found)} to use all, or CUDA_VISIBLE_DEVICES to say which are for others."
        yield warn("devices", f"{len(found)} GPUs and {settings.slots} slots", remedy)
    elif settings.slots > len(found):
        remedy = f"Set RETORT_SLOTS={len(found)} unless the models are small."
        yield warn("devices", f"{settings.slots} slots share {len(found)} GPUs", remedy)
    else:
        yield ok("devices", f"{len(found)} GPUs, a slot each")


def webhooks(settings: Settings, opened: Database) -> Iterator[Finding]:
    with opened.read() as session:
        off = session.scalar(select(func.count()).select_from(Webhook).where(Webhook.enabled.is_(False))) or 0
        found = figures.read(session, settings.lease_seconds)
    pending = found.messages.get("pending", 0)
    said = f"{pending} messages wait, the oldest for {found.message_oldest_seconds:.0f} s"
    if off:
        remedy = "Their owners see why in GET /webhooks; POST /webhooks/{id}/enable once they work again."
        yield warn("webhooks", f"{off} are disabled; {said}", remedy)
    else:
        yield ok("webhooks", said)


def unknown_objects(settings: Settings, opened: Database) -> Iterator[Finding]:
    try:
        found = orphans.find(opened, open_store(settings))
    except orphans.TooMany as error:
        remedy = (
            "Give each deployment a bucket of its own, or correct RETORT_DATABASE_URL. Nothing is removed meanwhile."
        )
        yield fail("orphans", str(error), remedy)
    except StorageUnavailable as error:
        yield fail("orphans", f"the store cannot be listed: {error}", "See the check `objects`.")
    else:
        if found:
            some = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
            when = f"after {settings.orphan_grace_days:g} days" if settings.orphan_grace_days else "never"
            remedy = f"Workers remove them {when} (RETORT_ORPHAN_GRACE_DAYS)."
            yield warn("orphans", f"{len(found)} objects that no row names: {some}", remedy)
        else:
            yield ok("orphans", "every object has its row")
