"""What killed processes left of bodies that were arriving."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress

from store.settings import Settings

KEPT_SECONDS = 24 * 3600.0


def sweep(settings: Settings) -> None:
    """Remove old folders of `settings.incoming`. Younger ones stay: another process may still be writing to them."""
    for path in settings.incoming.glob("*"):
        with suppress(FileNotFoundError):  # its own process has just removed it
            if path.stat().st_mtime < time.time() - KEPT_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
