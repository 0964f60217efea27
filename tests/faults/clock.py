"""A process with a wrong wall clock."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATCH = """
import time
_time, _ns = time.time, time.time_ns
time.time, time.time_ns = (lambda: _time() + {0}), (lambda: _ns() + {0} * 10**9)
"""


def off_by(minutes: int, folder: Path) -> dict[str, str]:
    """Settings for a process that is to live so many minutes ahead: below libc where there is a C compiler, else by a
    patch of Python's `time`. Made in `folder`."""
    if shutil.which("cc"):
        library = folder / "clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, Path(__file__).with_name("clock.c")], check=True)
        return {"LD_PRELOAD": str(library), "CLOCK_OFF_SECONDS": str(60 * minutes)}
    patch = folder / f"clock{minutes}"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(PATCH.format(minutes * 60))
    return {"PYTHONPATH": f"{patch}{os.pathsep}{ROOT}"}
