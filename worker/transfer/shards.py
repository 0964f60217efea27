"""Shards of a dataset that stays where it lies: fetched as any file that a user names, and held against what was
registered."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from distill.errors import InvalidDataset, RetortError
from distill.modalities.images.shards.refusal import ShardChanged, ShardUnavailable, changed, gone, unreadable
from store import references
from store.egress import NameNotResolved, UrlRefused
from store.objects import ObjectInfo, ObjectMissing
from store.settings import Settings
from worker.transfer.references import Download, ReferenceUnavailable
from worker.transfer.room import ENDLESS

MANIFEST = "manifest"
"""The role of a dataset's file that says what its shards are."""
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A shard as it was when its dataset was registered."""

    url: str
    size_bytes: int
    sha256: str


def written(entries: Sequence[Entry]) -> str:
    """The manifest of a dataset, as JSON: what a worker fetches for its jobs, and believes."""
    return json.dumps({"version": _VERSION, "shards": [asdict(each) for each in entries]})


def read(text: str) -> list[Entry]:
    """The entries of a manifest that a worker wrote."""
    return [Entry(**each) for each in json.loads(text)["shards"]]


@dataclass(frozen=True, slots=True)
class _AsRegistered:
    """Ends a download with the first byte that is too many."""

    entry: Entry

    def check(self, wanted: int) -> None:
        if wanted > self.entry.size_bytes:
            raise changed(self.entry.url, f"it has more than the {self.entry.size_bytes:,} bytes that were registered")


def fetch(settings: Settings, url: str, path: Path, check: Callable[[], None]) -> ObjectInfo:
    """A shard that is registered now, at `path`. Raises `InvalidDataset` where it is not there, `ShardUnavailable`,
    `UrlRefused`, and what `check` raises; each names the shard."""
    try:
        return Download(settings, references.parse(settings, url), path, check, ENDLESS).run()
    except UrlRefused as error:
        raise _named(error, url) from error
    except InvalidDataset as error:
        raise _unreadable(error, url) from error
    except (ReferenceUnavailable, NameNotResolved) as error:
        raise _away(error, url) from error


def fetch_again(settings: Settings, entry: Entry, path: Path, check: Callable[[], None]) -> None:
    """The same shard for a job, over what is at `path` already. Raises `ShardGone` and `ShardChanged` where it is not
    what was registered, and otherwise as `fetch` does."""
    try:
        reference = references.parse(settings, entry.url)
        found = Download(settings, reference, path, check, _AsRegistered(entry)).run()
    except UrlRefused as error:
        raise _named(error, entry.url) from error
    except ShardChanged:
        raise
    except InvalidDataset as error:
        missing = "status" in error.details or isinstance(error.__cause__, ObjectMissing)
        raise (gone if missing else unreadable)(entry.url, error.message.rstrip(".")) from error
    except (ReferenceUnavailable, NameNotResolved) as error:
        raise _away(error, entry.url) from error
    if found.size_bytes < entry.size_bytes:
        raise changed(entry.url, f"it has {found.size_bytes:,} bytes, {entry.size_bytes:,} were registered")
    if found.sha256 != entry.sha256:
        raise changed(entry.url, "it holds other bytes")


def _named(error: UrlRefused, url: str) -> UrlRefused:
    return UrlRefused(f"Shard {url!r}: {error.message}", error.remedy, _details(error, url))


def _unreadable(error: InvalidDataset, url: str) -> InvalidDataset:
    remedy = "Add the shard, or leave it out of what names the shards."
    return InvalidDataset(f"Shard {url!r} could not be read: {error.message}", remedy, _details(error, url))


def _away(error: RetortError, url: str) -> ShardUnavailable:
    why = error.message.rstrip(".")
    remedy = error.remedy or "Try again later."
    return ShardUnavailable(f"Shard {url!r} could not be fetched: {why}.", remedy, _details(error, url))


def _details(error: RetortError, url: str) -> dict[str, object]:
    return error.details | {"shard": url}
