"""What an epoch needs next is fetched while it still works on what is there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor

from distill.data.windows import WINDOW
from distill.errors import RetortError


class Ahead:
    """Groups in the order in which an epoch's samples need them first, fetched by one thread, at most a window of them
    beyond what was reached. What cannot be fetched is left to the reader that needs it, whose error says why."""

    def __init__(self, groups: Tensor, fetch: Callable[[int], None], window: int = WINDOW) -> None:
        """`groups` (n,), int64: the group of each of the epoch's samples, in order."""
        found, inverse = torch.unique(groups, return_inverse=True)
        first = torch.full((len(found),), len(groups)).scatter_reduce_(0, inverse, torch.arange(len(groups)), "amin")
        order = first.argsort()
        self._groups, self._firsts, self._fetch, self._window = found[order].tolist(), first[order], fetch, window
        self._wanted, self._closed, self._changed = 0, False, threading.Condition()
        self._thread = threading.Thread(target=self._run, name="shards-ahead", daemon=True)
        self._thread.start()

    def reached(self, position: int) -> None:
        """The epoch is at this sample."""
        begun = int(torch.searchsorted(self._firsts, torch.tensor(position), right=True))
        with self._changed:
            self._wanted = max(self._wanted, min(begun + self._window, len(self._groups)))
            self._changed.notify()

    def close(self) -> None:
        """Fetch nothing more; returns when what is being fetched is there."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        for number, group in enumerate(self._groups):
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._wanted > number)  # noqa: B023 - called at once
                if self._closed:
                    return
            with suppress(RetortError, OSError):
                self._fetch(group)
