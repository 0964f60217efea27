"""A folder for every attempt, `scratch/<id>/<attempt>`, that says whose it is, so that what a killed worker left can be
told from what a living one uses."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil

from worker.isolation import users
from worker.watching.survivors import kill_all

log = logging.getLogger(__name__)
OWNER = "owner.json"
RENAMES = 20
STAGED_SECONDS = 3600.0  # a folder that is half made or half removed for so long belongs to a dead process


@contextmanager
def folder(root: Path, resource_id: str, attempt: int) -> Iterator[Path]:
    """A new empty folder, closed to other users, for the time of the block."""
    path = root / resource_id / str(attempt)
    remove(path)
    _make(root, path)
    try:
        yield path
    finally:
        remove(path)


def _make(root: Path, path: Path) -> None:
    """Make the folder with its owner's name in it, in one step: a sweep that saw it without would take it away."""
    staged = root / f".new-{uuid4().hex}"
    root.mkdir(parents=True, exist_ok=True)
    staged.mkdir(mode=0o700)
    try:
        (staged / OWNER).write_text(json.dumps({"pid": os.getpid(), "started": psutil.Process().create_time()}))
        for _ in range(RENAMES):
            path.parent.mkdir(exist_ok=True)
            with suppress(FileNotFoundError):  # a sweep removed the parent, which was empty until now
                staged.rename(path)
                return
        staged.rename(path)
    except OSError:  # the disk is full: what sweeps pass over must not be left on it
        remove(path)
        shutil.rmtree(staged, ignore_errors=True)
        raise


def remove(path: Path) -> None:
    """Out of its place in one step, then piece by piece: a sweep that saw it without its owner's name would say that
    its worker had died."""
    gone = path.parent.parent / f".gone-{uuid4().hex}"
    with suppress(OSError):
        path.rename(gone)
    users.remove(gone)
    users.remove(path)  # had it not moved
    with suppress(OSError):  # the parent holds another attempt, or is gone
        path.parent.rmdir()


def sweep(root: Path) -> list[Path]:
    """End what runs in folders whose worker is dead, and remove them."""
    # In this order: a folder that goes away while its owner is read is its owner's doing, and is not there afterwards.
    left = [path for path in _attempts(root) if not _owned(path) and path.is_dir()]
    for path in left:
        log.warning("removing %s, left by a worker that is gone", path)
        kill_all(str(path))
        remove(path)
    for path in [*root.glob(".new-*"), *root.glob(".gone-*"), *root.glob(".survey-*")]:
        with suppress(FileNotFoundError):  # it is in its place by now, or away
            if time.time() - path.stat().st_mtime > STAGED_SECONDS:
                users.remove(path)
    return left


def _attempts(root: Path) -> Iterator[Path]:
    """All attempts' folders; not what is still being made, nor what goes away while we look."""
    for resource in list(root.iterdir()) if root.is_dir() else []:
        if not resource.name.startswith("."):
            with suppress(FileNotFoundError, NotADirectoryError):
                yield from list(resource.iterdir())


def _owned(path: Path) -> bool:
    try:
        owner = json.loads((path / OWNER).read_text())
        # Numbers of processes are used again; a process is its number and when it started.
        return bool(abs(psutil.Process(owner["pid"]).create_time() - owner["started"]) < 1)
    except (psutil.NoSuchProcess, ValueError, KeyError, TypeError, FileNotFoundError):
        return False
    except (psutil.AccessDenied, OSError):
        return True
