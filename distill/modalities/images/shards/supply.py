"""Shards that another process fetches: what may open no socket asks for them in one folder, and finds them in another.

`FOLDER/supply.json`: {"wanted": a folder that the asker writes, "kept": the folder that holds what FOLDER links to,
"budget_bytes": how many bytes may be kept, "held_seconds": how long a reader may hold a file open}. The asker puts a
file `N` for shard number N into the folder that it writes, and waits for `FOLDER/given/N`. Whoever supplies takes the
request away and gives the shard, or `N.refused`: {"asked": the marks of the requests that it answers, "error": what is
wrong}; a file `N-MARK` is a request with a mark. A shard that was given may be taken away whenever another one needs
its room: it is asked for again.

Asker and supplier may be two machines that see the folders by a network file system: no clock is compared with
another's, a name says all of a request, and what is given or refused is put in its place whole.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from distill.errors import Fault, RetortError
from distill.modalities.images.shards.refusal import ShardChanged, ShardGone, ShardUnavailable

INDEX = "index"
"""The role of a dataset's file that is the index itself: its shards are looked up there."""
SUPPLY = "supply"
"""The role of the folder in which another process gives shards."""
NAMES = "names"
"""The role of a file that names the shards of a supply: JSON {"roles": {role: names}, "classes": names or null}, and
`DECODE`: `ALL` where every image is decoded. Where several read them also `PART`: [first, end) of the shards to be
read; or `SAMPLE`: the numbers of some; or `PARTS`: the files of all parts that were read, in order, and `PROBLEM`: the
error that ended the last of them, or null."""
PART, PARTS, PROBLEM, SAMPLE, DECODE, ALL = "part", "parts", "problem", "sample", "decode", "all"
FACTS, GIVEN, REFUSED = "supply.json", "given", ".refused"
TALLY = "tally.json"
"""What was fetched for the asker so far, as the supplier says: {"fetched": shards, "again": of these those that it had
before, "crowded": of these those that made room for others' shards, "fetched_bytes": ..., "budget_bytes": ...}."""
MARK_BYTES = 8
LOOK_SECONDS, SELDOM_SECONDS = 0.02, 0.25
"""Pauses between looks for a shard: the first, and what they grow to."""
AGAIN_SECONDS = 2.0
"""A request that was overlooked is repeated after so long; a shard that is being read is said to be so as often."""
_NAMED: Mapping[str, type[RetortError]] = {each.__name__: each for each in (ShardGone, ShardChanged, ShardUnavailable)}


@dataclass
class Supply:
    """The asker's side. Can be sent to a worker process."""

    folder: Path
    _said: dict[int, float] = field(default_factory=dict)

    def path(self, number: int) -> Path:
        """The file of the shard, once it is there. Raises what its fetching met: `ShardGone`, `ShardChanged`,
        `ShardUnavailable`, or another `RetortError`."""
        given = self.folder / GIVEN / str(number)
        if _there(given):
            self._note_reading(number)
            return given
        mark, pause = secrets.token_hex(MARK_BYTES), LOOK_SECONDS
        asked = self.ask(number, mark)
        while not _there(given):
            self._raise_refusal(number, mark)
            if time.monotonic() - asked > AGAIN_SECONDS:
                asked = self.ask(number, mark)
            time.sleep(pause)
            pause = min(pause * 1.2, SELDOM_SECONDS)
        return given

    def ask(self, number: int, mark: str = "") -> float:
        """Say that the shard is needed, and go on; the time of this process's clock. A refusal names the `mark` of what
        it answers."""
        path = self.wanted / (f"{number}-{mark}" if mark else str(number))
        if mark:  # where it was overlooked the folder changes again
            path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
        self._said[number] = now = time.monotonic()
        return now

    @cached_property
    def wanted(self) -> Path:
        return Path(self._facts["wanted"])

    @property
    def budget_bytes(self) -> int:
        """How many bytes of shards may be kept."""
        return int(self._facts["budget_bytes"])

    @property
    def held_seconds(self) -> float:
        """How long a file may be held open once it was found. It takes room until it is closed, after it was removed
        too."""
        return float(self._facts["held_seconds"])

    @cached_property
    def _facts(self) -> dict[str, Any]:
        return facts(self.folder)

    def _note_reading(self, number: int) -> None:
        """What was not read for the longest time makes room: whoever supplies is told now and then."""
        if time.monotonic() - self._said.get(number, 0.0) > AGAIN_SECONDS:
            with suppress(OSError):
                self.ask(number)

    def _raise_refusal(self, number: int, mark: str) -> None:
        try:
            told = json.loads((self.folder / GIVEN / f"{number}{REFUSED}").read_bytes())
        except OSError as error:
            if not removed(error):
                raise
            return
        if mark in told["asked"]:
            raise error_of(told["error"])


def removed(error: OSError) -> bool:
    """Whether the file is not there, or was taken away by another machine while it was read."""
    return error.errno in (errno.ENOENT, errno.ESTALE)


def _there(path: Path) -> bool:
    try:
        path.stat()
    except OSError as error:
        if not removed(error):
            raise
        return False
    return True


def facts(folder: Path) -> dict[str, Any]:
    """What FOLDER/supply.json says."""
    told: dict[str, Any] = json.loads((folder / FACTS).read_bytes())
    return told


def tally(folder: Path) -> dict[str, int] | None:
    """What FOLDER/tally.json says; None where whoever supplies says nothing."""
    try:
        told: dict[str, int] = json.loads((folder / TALLY).read_bytes())
    except OSError as error:
        if not removed(error):
            raise
        return None
    return told


def told_of(error: RetortError) -> dict[str, Any]:
    """The error as JSON, from which `error_of` makes it again."""
    return error.to_dict() | {"type": type(error).__name__}


def error_of(told: Mapping[str, Any]) -> RetortError:
    """An error of the same code, fault and details; of the same class where it says what is wrong with a shard."""
    given = (str(told["message"]), str(told["remedy"]), told["details"])
    if (kind := _NAMED.get(str(told.get("type")))) is not None:
        return kind(*given)
    error = RetortError(*given)
    fault: Fault = "user" if told["fault"] == "user" else "system"
    error.code, error.fault, error.retryable = str(told["code"]), fault, bool(told["retryable"])
    return error


def refuse(folder: Path, number: int, marks: Iterable[str], error: RetortError) -> None:
    """Answer the requests of these marks by an error, whole or not at all; the supplier's side."""
    part = folder / GIVEN / f"{number}{REFUSED}.part"
    part.write_text(json.dumps({"asked": list(marks), "error": told_of(error)}, default=str))
    part.chmod(0o644)
    part.replace(part.with_suffix(""))


def give(folder: Path, number: int, path: Path) -> None:
    """Answer a request by the file at `path`; the supplier's side."""
    link, part = folder / GIVEN / str(number), folder / GIVEN / f"{number}.part"
    with suppress(OSError):
        if os.readlink(link) == str(path):  # noqa: PTH115 - text compared with text
            return
    part.unlink(missing_ok=True)
    part.symlink_to(path)
    part.replace(link)


def take_away(folder: Path, number: int) -> None:
    """The shard is not given any more; the supplier's side."""
    (folder / GIVEN / str(number)).unlink(missing_ok=True)
