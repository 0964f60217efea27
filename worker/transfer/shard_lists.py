"""From what names a dataset's shards to their own names, asking whoever lists them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from distill import shard_names
from distill.errors import InvalidDataset
from distill.hub_files import HubFile
from store import shard_references
from store.objects import BucketMissing, S3Store, StorageUnavailable
from store.references import S3Reference, WebReference
from store.settings import Settings
from store.shard_references import Folder, ListFile
from worker.transfer.references import Download, unserved
from worker.transfer.watched import watched

LIST_BYTES = 32 * 2**20
Check = Callable[[], None]


def listed(
    settings: Settings, given: Mapping[str, Sequence[str]], folder: Path, check: Check, *, counted: bool = True
) -> dict[str, list[str]]:
    """Role -> names of its shards, in order, each judged; training shards first. `folder`: for what is fetched to know
    them; `counted` as in `shard_names.check`. Raises `InvalidDataset`, `UrlRefused`, `ReferenceUnavailable`, and what
    `check` raises."""
    found = {role: _of_role(settings, texts, folder, check) for role, texts in given.items()}
    every = [name for role in sorted(found) for name in found[role]]
    for role, texts in given.items():
        shard_names.check(shard_names.called(texts, f"The list of {role} shards"), found[role], counted=counted)
    twice = next((name for name, count in Counter(every).items() if count > 1), None)
    if twice is not None:
        raise InvalidDataset(f"Shard {twice!r} both trains and tests.", "Name it once.", {"shard": twice})
    return {role: found[role] for role in sorted(found, reverse=True)}


def _of_role(settings: Settings, texts: Sequence[str], folder: Path, check: Check) -> list[str]:
    def named(text: str) -> list[str]:
        found = shard_references.read(settings, text)
        if isinstance(found, ListFile):
            return _in_list(settings, found, folder, check)
        return _in_folder(settings, found, folder, check) if isinstance(found, Folder) else found

    return shard_names.gathered(shard_names.called(texts), map(named, texts))


def _in_list(settings: Settings, found: ListFile, folder: Path, check: Check) -> list[str]:
    path = folder / "list"
    Download(settings, found.reference, path, check, _Short(found.url)).run()
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidDataset(f"The list {found.url!r} is no text.", "Write one shard a line, in UTF-8.") from error
    finally:
        path.unlink()
    return shard_references.lines(settings, found, text)


def _in_folder(settings: Settings, found: Folder, folder: Path, check: Check) -> list[str]:
    if isinstance(found.inside, S3Reference):
        inside = found.inside
        names = watched(lambda: _in_bucket(settings, found.url, inside), check)
    else:
        names = _in_repository(settings, found, folder, check)
    return shard_references.judged(settings, [found.url + name for name in shard_names.among(names, found.pattern)])


def _in_bucket(settings: Settings, url: str, inside: S3Reference) -> list[str]:
    """Names of the objects right below the folder at `url`, of which `inside` would be one."""
    prefix = inside.key.removesuffix("x")
    secret = settings.s3_secret_key.get_secret_value()
    store = S3Store(
        settings.s3_endpoint, "", inside.bucket, settings.s3_region, settings.s3_access_key, secret, make=False
    )
    try:
        return [key.removeprefix(prefix) for key in store.keys_in(prefix)]
    except BucketMissing as error:
        raise InvalidDataset(f"There is no bucket {inside.bucket!r}.", "Look at the bucket's name.") from error
    except StorageUnavailable as error:
        raise unserved(f"The object store did not list {url}: {error}", error) from error


def _in_repository(settings: Settings, found: Folder, folder: Path, check: Check) -> list[str]:
    """Names of the files right below the folder, of a dataset of the hub at its revision."""
    assert isinstance(found.inside, WebReference)
    inside, path = HubFile.of(f"{found.url}x"), folder / "tree"
    tree = WebReference(inside.listed_at(settings.huggingface_endpoint), found.inside.policy, "tree.json")
    Download(settings, tree, path, check, _Short(found.url)).run()
    try:
        return inside.beside(path.read_bytes(), found.url)
    finally:
        path.unlink()


class _Short:
    """Ends the download of a list that is too long."""

    def __init__(self, url: str) -> None:
        self._url = url

    def check(self, wanted: int) -> None:
        if wanted > LIST_BYTES:
            raise InvalidDataset(f"The list {self._url!r} has more than {LIST_BYTES:,} bytes.", "Write a shorter one.")
