from __future__ import annotations

from pathlib import Path

from distill.types import DatasetInput
from tests.tasks.house import House
from tests.tasks.tiny.classify_images import made


def make(folder: Path) -> House:
    return made(folder, DatasetInput(kind="named", name="digits", task="regress_images"), 1)
