"""All checks in order. One that cannot be made is a failure of its own, not the end of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from store.database import Database
from store.settings import Settings, problems
from worker.doctor import machine, servers, work
from worker.doctor.report import Finding, fail, ok


def run(settings: Settings | None = None) -> list[Finding]:
    """Every finding; with settings that cannot be used only that."""
    try:
        settings = settings or Settings()
    except ValueError as error:
        return [fail("settings", message, "Correct the environment (RETORT_...).") for message in problems(error)]
    mode = "embedded" if settings.embedded else "full"
    return [ok("settings", f"{mode} mode, data in {settings.data_dir.absolute()}"), *_all(settings)]


def _all(settings: Settings) -> Iterator[Finding]:
    yield from machine.disks(settings)
    yield from work.devices(settings)
    yield from machine.isolation(settings)
    yield from _made("doorbell", partial(servers.redis, settings))
    yield from _made("objects", partial(servers.objects, settings))
    opened = Database(settings.resolved_database_url)
    try:
        first = list(_made("database", partial(servers.database, settings, opened)))
        yield from first
        if all(finding.status == "ok" for finding in first if finding.name == "migrations") and len(first) > 1:
            yield from _made("clock", partial(servers.clock, settings, opened))
            for name in ("workers", "webhooks", "unknown_objects"):
                yield from _made(name, partial(getattr(work, name), settings, opened))
    finally:
        opened.close()


def _made(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except (SQLAlchemyError, OSError) as error:
        said = str(error).partition("\n")[0]
        yield fail(name, f"could not be checked: {type(error).__name__}: {said}", "See the message.")
