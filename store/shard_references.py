"""Shards that a dataset names and that stay where they lie: what may name them, judged as a file's URL is.

    https://host/{000000..001281}.tar        braces; with s3:// and hf:// too
    s3://bucket/photos/train-*.tar           what lies in a folder; of https, which lists nothing, no
    https://host/photos/list.txt             a list, a name a line, addresses or names beside the list

`Dataset.shards`: {"given": {role: [what names its shards, ...]}, "classes": names by number or null, "classes_from":
`distill.types.ClassesFrom`}, and once a worker has read them "count" and "size_bytes" of all of them. "given" is empty
where tars were uploaded and something was told of their classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from distill import shard_names
from distill.errors import InvalidDataset
from store import references
from store.egress import UrlRefused
from store.references import Reference, S3Reference, WebReference
from store.settings import Settings

KIND = "shards"
INDEX, MANIFEST = "index.shards", "manifest.json"
LIST = "list"
"""In `Dataset.reading`: {object_key, size_bytes, sha256} of the names of shards that stay where they lie."""


@dataclass(frozen=True, slots=True)
class Folder:
    """All shards that lie in a folder, and whose names fit `pattern` (`*`: anything). `inside`: what a file of it would
    be; `url` ends with a slash."""

    url: str
    pattern: str
    inside: S3Reference | WebReference


@dataclass(frozen=True, slots=True)
class ListFile:
    """Shards that a file names, one a line."""

    url: str
    reference: Reference


def object_keys(dataset_id: str) -> list[str]:
    """Where index and manifest are kept. Known before they are written, so that whoever deletes the row finds them."""
    return [f"datasets/{dataset_id}/{name}" for name in (INDEX, MANIFEST)]


def parts(dataset_id: str) -> str:
    """What the keys begin with of all that is kept while a dataset is read in parts."""
    return f"datasets/{dataset_id}/parts/"


def read(settings: Settings, given: str) -> list[str] | Folder | ListFile:
    """What one text names: shards, each judged, in order; or what must be asked for them. Raises `UrlRefused` for all
    that the settings do not allow, and `InvalidDataset` for braces that count wrongly."""
    plain = _path(given)
    if "*" in given or plain.endswith("/"):
        return _folder(settings, given)
    if PurePosixPath(plain).suffix.lower() in shard_names.LISTS:
        return ListFile(given, references.parse(settings, given))
    return judged(settings, shard_names.expanded(given))


def judged(settings: Settings, names: Iterable[str]) -> list[str]:
    """The names, once each was found to be allowed. Raises `UrlRefused`."""
    found = list(names)
    for name in found:
        references.parse(settings, name)
    return found


def lines(settings: Settings, found: ListFile, text: str) -> list[str]:
    """The shards that a list names: addresses, or names beside the list; blank lines and `# ...` name none. Raises as
    `read` does."""
    whole = shard_names.in_list(found.url, text)
    return judged(settings, shard_names.gathered(found.url, map(shard_names.expanded, whole)))


def check(settings: Settings, given: Iterable[str], *, counted: bool = True) -> None:
    """As far as shards can be judged without asking anybody; `counted` as in `shard_names.check`. Raises `UrlRefused`,
    `InvalidDataset`."""
    texts = list(given)
    called = shard_names.called(texts)
    asked: list[Folder | ListFile] = []

    def named(text: str) -> list[str]:
        found = read(settings, text)
        if isinstance(found, list):
            return found
        asked.append(found)
        return []

    names = shard_names.gathered(called, map(named, texts))
    if not asked:
        shard_names.check(called, names, counted=counted)


def _path(given: str) -> str:
    """The path of an address; of what is none, all of it."""
    try:
        return urlsplit(given).path or given
    except ValueError:
        return given


def _folder(settings: Settings, given: str) -> Folder:
    try:
        url, pattern = shard_names.folder(given)
    except InvalidDataset as error:
        raise UrlRefused(error.message, error.remedy) from error
    return Folder(url, pattern, references.parse(settings, f"{url}x"))
