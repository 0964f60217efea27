"""The folder that a stream is made in, or unpacked into: gone with the command, however that ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from types import FrameType

from store.file_lock import held

PREFIX, NEW = ".retort-stream-", ".retort-new-"
HELD = ".held"
ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def staging(parent: Path) -> Iterator[Path]:
    """An empty folder in `parent`, removed behind the block: also when an exception ends it, a reader that has gone
    (`BrokenPipeError`), Ctrl-C, SIGTERM or SIGHUP. What `kill -9` left of others is removed first."""
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent)
    with _ending():
        # Under this name no sweep looks at it, until it is held.
        made = Path(mkdtemp(prefix=NEW, dir=parent))
        folder = made.with_name(PREFIX + made.name.removeprefix(NEW))
        with held(made / HELD, wait=False):
            try:
                made.rename(folder)
                yield folder
            finally:
                rmtree(folder if folder.exists() else made)


def sweep(parent: Path) -> None:
    """Remove folders whose makers are dead: the system has let go of their locks. The prefix is nobody else's; a
    backup that somebody keeps in `parent` has another name. What cannot be removed (another user's) stays."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError), held(folder / HELD, wait=False):
            rmtree(folder)


@contextmanager
def _ending() -> Iterator[None]:
    """Signals that end a process at once raise `SystemExit` instead, the first of them; `nohup`'s choice stays."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    ours = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in ours:
        signal.signal(number, _leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


def _leave(number: int, frame: FrameType | None) -> None:
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)  # the folder is being removed: that takes a moment
    raise SystemExit(128 + number)
