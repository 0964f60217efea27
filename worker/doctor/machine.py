"""Checks of this machine: room on its disks, and whether it isolates trainers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from store.settings import Settings
from worker.doctor.report import Finding, fail, ok, warn
from worker.errors import IsolationUnavailable
from worker.isolation import users
from worker.isolation.required import REMEDY, survey

GIB = 2**30
TIGHT_BYTES, FULL_BYTES = 10 * GIB, GIB


def disks(settings: Settings) -> Iterator[Finding]:
    """Data and scratch, which may be two disks."""
    for name, folder in (("data disk", settings.data_dir.absolute()), ("scratch disk", settings.scratch)):
        yield _disk(name, folder)


def isolation(settings: Settings) -> Iterator[Finding]:
    """Of this machine, if it is a worker's."""
    try:
        users.join(settings)
    except IsolationUnavailable as error:
        yield fail("isolation", error.message, error.remedy)
        return
    held = survey(settings)
    if held.complete:
        yield ok("isolation", f"trainers are held by {held.summary()}")
    else:
        said = f"trainers are not isolated: held by {held.summary()}"
        yield (fail if settings.require_isolation else warn)("isolation", said, REMEDY)


def _disk(name: str, folder: Path) -> Finding:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK):
        return fail(name, f"{there} cannot be written to", "Give it to the user that runs Retort.")
    free = shutil.disk_usage(there).free
    said, remedy = f"{free / GIB:.1f} GiB free at {folder}", "Free some, or set RETORT_SCRATCH_DIR or RETORT_DATA_DIR."
    if free < FULL_BYTES:
        return fail(name, said, remedy)
    return warn(name, said, remedy) if free < TIGHT_BYTES else ok(name, said)
