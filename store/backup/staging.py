"""The folder that a stream is made in, or unpacked into: gone with the command, however that ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
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
        # The name is known before the folder is there, so that a signal at any moment finds what to remove.
        # Under the first name no sweep looks at it, until it is held.
        token = token_hex(8)
        made, folder = parent / (NEW + token), parent / (PREFIX + token)
        try:
            made.mkdir(mode=0o700)
            with held(made / HELD, wait=False):
                try:
                    made.rename(folder)
                    yield folder
                finally:
                    if folder.exists():
                        rmtree(folder)
        finally:
            if made.exists():
                rmtree(made)


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
