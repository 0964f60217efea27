"""Tables of studies as they were computed last: a page asks for table, Pareto front and importance at once, at each
event of its study. Nothing that a table shows changes without an event, whose number says whether a kept one is good.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from distill.search.table import Table

MOST, MOST_ROWS = 4, 20_000
"""Tables that are kept, and rows of one that is."""


class KeptTables:
    """Of several threads."""

    def __init__(self) -> None:
        self._lock, self._kept = Lock(), OrderedDict[str, tuple[int, Table]]()

    def table(self, study_id: str, version: int, make: Callable[[], Table]) -> Table:
        """The study's table at its event `version`, which must have been read before what `make` reads. Nobody may
        change it."""
        with self._lock:
            known = self._kept.pop(study_id, None)
            if known is not None and known[0] == version:
                self._kept[study_id] = known
                return known[1]
        made = make()
        if len(made.rows) <= MOST_ROWS:
            with self._lock:
                self._kept[study_id] = (version, made)
                while len(self._kept) > MOST:
                    self._kept.popitem(last=False)
        return made

    def forget(self) -> None:
        """All of them."""
        with self._lock:
            self._kept.clear()


KEPT = KeptTables()
