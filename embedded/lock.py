"""One service a data folder: two would sweep each other's scratch and share one SQLite queue by accident."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from store.file_lock import held

FILE = "serve.lock"


class AlreadyRunning(Exception):
    """Another `retort serve` uses this data folder."""

    def __init__(self, folder: Path, who: str) -> None:
        super().__init__(
            f"Another `retort serve` uses {folder} ({who or 'it does not say where'}). "
            "Stop it, or give this one a folder of its own with --data-dir."
        )


@contextmanager
def only_one(folder: Path, who: str) -> Iterator[None]:
    """Hold the folder for the time of the block; the kernel lets go of it when the process dies, however it dies.

    `who` is what the next one reads. Raises `AlreadyRunning`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    with ExitStack() as stack:
        try:
            stack.enter_context(held(path, wait=False))
        except BlockingIOError:
            raise AlreadyRunning(folder, path.read_text().strip()) from None
        path.write_text(who)
        yield
