"""Files that datasets name by URL, to local disk: pinned, capped, every redirect judged anew."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn, Protocol
from urllib.parse import urljoin

import httpx

from distill.errors import InvalidDataset, RetortError
from store.egress import NameNotResolved, PinnedTransport, resolve_and_pin
from store.objects import ObjectInfo, ObjectMissing, S3Store, StorageDenied, StorageUnavailable
from store.references import Reference, S3Reference, WebReference
from store.settings import Settings
from worker.transfer.room import ENDLESS
from worker.transfer.watched import watched

REDIRECTS, TRIES, PAUSE_SECONDS = 5, 3, 1.0
_MOVED = frozenset({301, 302, 303, 307, 308})
_TIMEOUT = httpx.Timeout(connect=10, read=30, write=30, pool=10)
ADDRESSES = 2  # of a name, each for at most the time to connect: a lease is not to run out meanwhile


class ReferenceUnavailable(RetortError):
    """The file's own server did not serve it; it may later."""

    code = "reference_unavailable"
    retryable = True


def unserved(what: str, error: StorageUnavailable) -> ReferenceUnavailable:
    """The error for a file that the operator's own store does not serve."""
    if isinstance(error, StorageDenied):
        return ReferenceUnavailable(what, "The operator looks at RETORT_S3_ACCESS_KEY and what its owner may read.")
    return ReferenceUnavailable(what, "Try again later; where it stays so, the operator looks at RETORT_S3_ENDPOINT.")


class Bounds(Protocol):
    """How much may arrive: raises where a file of `wanted` bytes, or that many of it so far, is too much."""

    def check(self, wanted: int) -> None: ...


@dataclass
class Download:
    """One file on its way. `check` is called often, whatever the file's server does, and raises to end it. A file that
    is at `path` already, which holds the room for it, is written over."""

    settings: Settings
    reference: Reference
    path: Path
    check: Callable[[], None]
    room: Bounds = ENDLESS
    deadline: float = field(init=False)
    given_up: threading.Event = field(default_factory=threading.Event)
    client: httpx.Client | None = None

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.settings.dataset_fetch_seconds

    def run(self) -> ObjectInfo:
        """Size and sha256 of what is at `path` now. Raises `InvalidDataset` for what the server does not have or what
        is too large, `QuotaExceeded` as soon as it is known to be more than there is `room` for, `UrlRefused`,
        `ReferenceUnavailable` after three tries, and what `check` raises."""
        for last in (False,) * (TRIES - 1) + (True,):
            try:
                return watched(self._once, self._look, self._give_up)
            except (ReferenceUnavailable, NameNotResolved):
                if last:
                    raise
                self._pause()
        raise AssertionError  # the last try returned or raised

    def _look(self) -> None:
        self.check()
        if time.monotonic() > self.deadline:
            _late(self.settings.dataset_fetch_seconds)

    def _give_up(self) -> None:
        """A server may drip for ever: closing the connection under the thread ends its wait."""
        self.given_up.set()
        if self.client is not None:
            self.client.close()

    def _once(self) -> ObjectInfo:
        if isinstance(self.reference, S3Reference):
            return self._written(self._object(self.reference))
        return self._web(self.reference)

    def _object(self, reference: S3Reference) -> Iterator[bytes]:
        settings = self.settings
        secret = settings.s3_secret_key.get_secret_value()
        store = S3Store(
            settings.s3_endpoint, "", reference.bucket, settings.s3_region, settings.s3_access_key, secret, make=False
        )
        try:
            self._check_size(store.size(reference.key))
            yield from store.read(reference.key)
        except ObjectMissing as error:
            what = f"There is no s3://{reference.bucket}/{reference.key}."
            raise InvalidDataset(what, "Look at bucket and key.") from error
        except StorageUnavailable as error:
            raise unserved(f"The object store did not serve {reference.key}: {error}", error) from error

    def _web(self, reference: WebReference) -> ObjectInfo:
        url = reference.url
        for _ in range(REDIRECTS + 1):
            found = resolve_and_pin(url, reference.policy)
            target = replace(found, addresses=found.addresses[:ADDRESSES])
            # Identity: bytes as they are, so that their number bounds what is written.
            headers = {"Accept-Encoding": "identity", "User-Agent": "retort"}
            try:
                with (
                    httpx.Client(transport=PinnedTransport(target), timeout=_TIMEOUT, trust_env=False) as self.client,
                    self.client.stream("GET", url, headers=headers, follow_redirects=False) as answer,
                ):
                    if answer.status_code not in _MOVED:
                        return self._received(answer, target.host)
                    url = _moved(url, answer.headers.get("location", ""))
            except httpx.HTTPError as error:
                raise ReferenceUnavailable(f"{target.host} did not answer: {type(error).__name__}.") from error
        raise InvalidDataset(f"The URL redirects more than {REDIRECTS} times.", "Use the address that it leads to.")

    def _received(self, answer: httpx.Response, host: str) -> ObjectInfo:
        if answer.status_code >= 500 or answer.status_code == 429:
            raise ReferenceUnavailable(f"{host} answered {answer.status_code}.", "Try again later.")
        if answer.status_code != 200:
            remedy = "Look at the URL; the service sends no credentials."
            raise InvalidDataset(f"{host} answered {answer.status_code}.", remedy, {"status": answer.status_code})
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise InvalidDataset(f"{host} sends the file encoded.", "Name a URL that serves the file as it is.")
        length = answer.headers.get("content-length", "")
        self._check_size(int(length) if length.isascii() and length.isdecimal() and len(length) < 19 else 0)
        return self._written(answer.iter_raw())

    def _written(self, chunks: Iterator[bytes]) -> ObjectInfo:
        digest, size = hashlib.sha256(), 0
        with self.path.open("r+b" if self.path.exists() else "wb") as file:
            for chunk in chunks:
                if self.given_up.is_set():
                    raise ReferenceUnavailable("Nobody waits for this file any more.")
                size += len(chunk)
                self._check_size(size)
                digest.update(chunk)
                file.write(chunk)
            file.truncate()
        return ObjectInfo("", size, digest.hexdigest())

    def _check_size(self, size: int) -> None:
        most = self.settings.max_upload_bytes
        if size > most:
            remedy = "Name a smaller file, or have the operator raise RETORT_MAX_UPLOAD_BYTES."
            raise InvalidDataset(f"The file is larger than {most:,} bytes.", remedy, {"max_upload_bytes": most})
        self.room.check(size)

    def _pause(self) -> None:
        until = time.monotonic() + PAUSE_SECONDS
        while time.monotonic() < until:
            self.check()
            time.sleep(0.1)


def _moved(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise InvalidDataset(
            f"The URL redirects to {location[:200]!a}, which is none.", "Use the address that the file is at."
        ) from error


def _late(seconds: float) -> NoReturn:
    raise InvalidDataset(
        f"Fetching the file took longer than {seconds:g} s.", "Use a faster server, or upload the file."
    )
