"""Gives a trainer or an inspector, which opens no socket, the shards that it asks for
(`distill.modalities.images.shards.supply`)."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from distill.errors import InvalidDataset, RetortError
from distill.modalities.images.shards import supply
from distill.modalities.images.shards.cache import ShardCache
from distill.modalities.images.shards.record import Hashed
from distill.modalities.images.shards.refusal import changed
from store.settings import Settings
from worker.errors import Internal, disk_full
from worker.isolation import users
from worker.transfer import shards
from worker.transfer.shards import Entry
from worker.transfer.tally import Tally

log = logging.getLogger(__name__)
LOOK_SECONDS, CLOSE_SECONDS = 0.03, 60.0
FETCHERS = 4
"""Shards that come at once."""
REQUESTS = 1000
"""Requests that are taken at one look: a trainer may write what it likes."""
MARKS = 10_000
"""Marks of requests that are remembered: who asked before that, and still waits, asks again."""
_REQUEST = re.compile(rf"(\d{{1,9}})(?:-([0-9a-f]{{{2 * supply.MARK_BYTES}}}))?", re.ASCII)
INSPECTED = 4
"""Shards that an inspection has at once: it reads one after the other, and of the next one ahead."""
HELD_SECONDS = 10.0
"""Of files that hosts share: a reader opens each so often, where every part of its path is asked for over a network."""
Check = Callable[[], None]
Bring = Callable[[int, Path, Check], Hashed]
"""Writes shard number N to a path, over what is there already; what it found. Calls `check` often."""


class Closed(Exception):
    """Nobody waits for the shard any more."""


class Source(Protocol):
    """Where a supplier has shards from, in threads of its own."""

    def get(self, number: int, check: Check) -> Path: ...


class Supplier:
    """Answers requests in `wanted` by links in `folder`, from `start` to `close`. What an asker writes is names of
    files, and nothing of what it wrote is opened."""

    def __init__(self, folder: Path, wanted: Path, kept: Path, budget_bytes: int, held_seconds: float = 0.0) -> None:
        """`kept`: where the shards lie; `held_seconds`: how long an asker may hold one open."""
        self._folder, self._wanted = folder, wanted
        (folder / supply.GIVEN).mkdir(parents=True)
        wanted.mkdir()
        told = {"wanted": str(wanted), "kept": str(kept), "budget_bytes": budget_bytes, "held_seconds": held_seconds}
        (folder / supply.FACTS).write_text(json.dumps(told))
        self._closed, self._lock = threading.Event(), threading.Lock()
        self._coming: set[int] = set()
        self._marked: deque[tuple[int, str]] = deque(maxlen=MARKS)
        self._pool = ThreadPoolExecutor(FETCHERS, "shards")
        self._thread = threading.Thread(target=self._look, name="supplier", daemon=True)

    def start(self, source: Source, count: int) -> Self:
        """`count`: how many shards there are."""
        self._source, self._count = source, count
        self._thread.start()
        return self

    @property
    def busy(self) -> bool:
        """Whether somebody waits for a shard that is on its way."""
        return bool(self._coming)

    def close(self) -> None:
        """Nothing of it runs any more when this returns, but for a server that says nothing."""
        self._closed.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._pool.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + CLOSE_SECONDS
        while self._coming and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self) -> None:
        if self._closed.is_set():
            raise Closed

    def _look(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            for number, mark in self._requests():
                with self._lock:
                    first = number not in self._coming
                    self._coming.add(number)
                    if mark:
                        self._marked.append((number, mark))
                if first:
                    self._pool.submit(self._answer, number)

    def _requests(self) -> list[tuple[int, str]]:
        """Number and mark of every request; they are taken away."""
        found = []
        try:
            with os.scandir(self._wanted) as entries:
                names = [entry.name for entry, _ in zip(entries, range(REQUESTS), strict=False)]
        except OSError:  # a file system of the network that stumbles: askers ask again
            log.exception("requests for shards in %s cannot be seen", self._wanted)
            names = []
        for name in names:
            with suppress(OSError):
                (self._wanted / name).unlink()
                said = _REQUEST.fullmatch(name)
                if said and int(said[1]) < self._count:
                    found.append((int(said[1]), said[2] or ""))
        return found

    def _answer(self, number: int) -> None:
        error: RetortError | None = None
        try:
            supply.give(self._folder, number, self._source.get(number, self._check))
        except Closed:
            error = None
        except RetortError as refused:
            error = refused
        except Exception as broken:
            log.exception("shard %d was not supplied", number)
            error = disk_full(broken) or Internal(f"A shard could not be supplied: {broken}", "See the worker's log.")
        with self._lock:
            self._coming.remove(number)
            marks = {mark for asked, mark in self._marked if asked == number}
        if error is not None:
            with suppress(OSError):  # the asker is gone, and its folder with it
                supply.refuse(self._folder, number, marks, error)


@dataclass(frozen=True, slots=True)
class Store:
    """Where shards are kept for jobs. `locks`: of this machine's processes; `owner`: whose work they tell of, ""
    for all of the machine's; `held_seconds`: how long a reader may hold a file open, whose room was given away
    maybe."""

    folder: Path
    locks: Path
    owner: str = ""
    held_seconds: float = 0.0

    @classmethod
    def of_machine(cls, settings: Settings) -> Store:
        """Shared by all workers and jobs of this machine."""
        return cls(settings.kept_shards, settings.kept_shards / "locks")

    @classmethod
    def of_cluster(cls, settings: Settings, worker_id: str) -> Store:
        """Shared by all workers of a cluster, and by the hosts of its jobs (decision 0040)."""
        return cls(settings.shared_shards, settings.kept_shards.with_name("shared-locks"), worker_id, HELD_SECONDS)


class Kept:
    """Registered shards, from a cache that other jobs share. `store`: by default that of this machine. `bring`: where
    those come from that it does not hold, as they were registered; None: from their addresses. `tally`: of what they
    cost."""

    def __init__(
        self, settings: Settings, entries: Sequence[Entry], store: Store | None = None, bring: Bring | None = None,
        tally: Tally | None = None,
    ) -> None:  # fmt: skip
        self._settings, self._entries, self._tally = settings, entries, tally
        self._store = store or Store.of_machine(settings)
        self._bring = bring or self._fetch
        make_folder(settings, self._store.folder)

    def get(self, number: int, check: Check) -> Path:
        """Raises `ShardGone`, `ShardChanged`, `ShardUnavailable`, and what `check` raises."""
        entry = self._entries[number]
        store, budget_bytes = self._store, self._settings.shard_cache_bytes
        cache = ShardCache(store.folder, budget_bytes, check, store.locks, store.owner)
        made = False

        def make(part: Path) -> None:
            nonlocal made
            self._bring(number, part, check)
            part.chmod(0o444)
            made = True

        path = cache.get(entry.sha256, entry.size_bytes, make)
        if self._tally is not None:
            self._tally.note(entry.sha256, entry.size_bytes, made)
        return path

    def _fetch(self, number: int, path: Path, check: Check) -> Entry:
        entry = self._entries[number]
        shards.fetch_again(self._settings, entry, path, check)
        return entry


def make_folder(settings: Settings, folder: Path) -> None:
    """The cache's folder. Trainers open files in it whose names, their sha256, they know, and list none."""
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # another worker's
        folder.chmod(0o711)
    if settings.trainer_uid:
        users.passable(folder.parent)


class Registering:
    """Shards that are looked at for the first time: a few at once in `folder`, in the order of requests. `entries`:
    what is known of those that came. `bring`: where they come from; None: from the addresses that `names` are. `known`:
    of the first shards, what others found who have read them already."""

    def __init__(
        self, settings: Settings, names: Sequence[str], folder: Path, links: Path, bring: Bring | None = None,
        known: Sequence[Entry] = (),
    ) -> None:  # fmt: skip
        self._names, self._folder, self._links = names, folder, links
        self._bring = bring or (lambda number, path, check: shards.fetch(settings, names[number], path, check))
        self.entries: dict[int, Entry] = dict(enumerate(known))
        self._there: OrderedDict[int, Path] = OrderedDict()
        self._lock = threading.Lock()
        folder.mkdir()

    def get(self, number: int, check: Check) -> Path:
        """Raises `InvalidDataset`, `ShardUnavailable`, and what `check` raises."""
        with self._lock:
            if number in self._there:
                self._there.move_to_end(number)
                return self._there[number]
        part, path = self._folder / f"{number}.part", self._folder / f"{number}"
        url = self._names[number]
        found = self._bring(number, part, check)
        entry = self.entries.setdefault(number, Entry(url, found.size_bytes, found.sha256))
        if entry.sha256 != found.sha256:
            raise changed(url, "it holds other bytes than when it was first read")
        part.chmod(0o444)
        part.replace(path)
        self._keep(number, path)
        return path

    def all(self) -> list[Entry]:
        """Of every shard, in order. Raises `InvalidDataset` where one was never asked for."""
        numbers = range(len(self._names))
        if not all(number in self.entries for number in numbers):
            raise InvalidDataset("The inspection did not read all shards.", "Register the dataset again.")
        return [self.entries[number] for number in numbers]

    def _keep(self, number: int, path: Path) -> None:
        with self._lock:
            self._there[number] = path
            while len(self._there) > INSPECTED:
                old, gone = self._there.popitem(last=False)
                supply.take_away(self._links, old)
                gone.unlink(missing_ok=True)
