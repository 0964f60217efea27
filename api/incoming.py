"""Where bodies lie while they arrive. Not under `scratch`: its sweeper removes what no worker owns."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from store.settings import Settings

KEPT_SECONDS = 24 * 3600.0


def root(settings: Settings) -> Path:
    return settings.data_dir.absolute() / "uploads"


def folder(settings: Settings) -> TemporaryDirectory[str]:
    """A folder for one request; a context manager that removes it."""
    root(settings).mkdir(parents=True, exist_ok=True)
    return TemporaryDirectory(dir=root(settings))


def sweep(settings: Settings) -> None:
    """Remove what a killed process left. Younger folders stay: another process may still be writing to them."""
    for path in root(settings).glob("*"):
        if path.stat().st_mtime < time.time() - KEPT_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
