"""Where the bytes of a shard come from: a file of this machine, or an address (`addresses`)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx

from distill.modalities.images.shards import addresses
from distill.modalities.images.shards.refusal import ShardGone, ShardUnavailable, changed, gone

TRIES, PAUSE_SECONDS = 4, 0.5
_TIMEOUT = httpx.Timeout(connect=10, read=30, write=30, pool=10)
_GONE = frozenset({401, 403, 404, 410})
_DENIED = frozenset({401, 403})
_CHUNK = 2**20


def local(name: str) -> Path | None:
    """The shard's file where it lies on this machine, None for an address."""
    return None if addresses.is_address(name) else Path(name)


def read(name: str, size_bytes: int | None = None) -> Iterator[bytes]:
    """The shard's bytes. A server that stumbles (no answer, 429, 5xx, a cut connection) is asked `TRIES` times, each
    time for what is missing still, with pauses that double from `PAUSE_SECONDS` on. `size_bytes`: what it is known to
    have. Raises `ShardGone`, `ShardChanged` and `ShardUnavailable`, and what `addresses.request` does."""
    path = local(name)
    yield from _file(path, name) if path is not None else _web(name, size_bytes)


def mark(name: str) -> str | None:
    """What changes when the shard does, without reading it: size and time of its file; size and `ETag` of an address.
    None where nothing tells. Raises `ShardGone`, `ShardUnavailable`, and what `addresses.request` does."""
    path = local(name)
    try:
        if path is not None:
            found = path.stat()
            return f"{path.resolve()} {found.st_size} {found.st_mtime_ns}"
        answer = httpx.head(addresses.request(name, "HEAD"), timeout=_TIMEOUT, follow_redirects=True)
        _check(answer, name)
    except OSError as error:
        raise gone(name, str(error)) from error
    except httpx.HTTPError as error:
        raise away(name, type(error).__name__) from error
    told = answer.headers.get("etag") or answer.headers.get("last-modified")
    return f"{name} {answer.headers.get('content-length')} {told}" if told else None


def _file(path: Path, name: str) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise gone(name, str(error)) from error


def _web(name: str, size_bytes: int | None) -> Iterator[bytes]:
    got, etag, pause_seconds = 0, "", PAUSE_SECONDS
    for last in (False,) * (TRIES - 1) + (True,):
        try:
            headers = (
                {"Accept-Encoding": "identity", "Range": f"bytes={got}-"} if got else {"Accept-Encoding": "identity"}
            )
            with _asked(addresses.request(name), headers) as answer:
                _check(answer, name)
                if got and (answer.status_code != 206 or answer.headers.get("etag", "") != etag):
                    raise changed(name, "its server cannot go on with what it began to send")
                etag = answer.headers.get("etag", "")
                for chunk in answer.iter_raw():
                    got += len(chunk)
                    yield chunk
            if size_bytes is None or got >= size_bytes:
                return
            raise changed(name, f"it has {got:,} bytes, {size_bytes:,} were registered")
        except (httpx.HTTPError, ShardUnavailable) as error:
            if last:
                raise away(name, str(error) or type(error).__name__) from error
            time.sleep(pause_seconds)
            pause_seconds *= 2


def _asked(url: str, headers: dict[str, str]) -> AbstractContextManager[httpx.Response]:
    return httpx.stream("GET", url, headers=headers, timeout=_TIMEOUT, follow_redirects=True)


def _check(answer: httpx.Response, name: str) -> None:
    if answer.status_code >= 500 or answer.status_code == 429:
        raise away(name, f"its server answered {answer.status_code}")
    if answer.status_code in _DENIED and addresses.scheme(name) == addresses.S3:
        raise ShardGone(
            f"Shard {name!r} cannot be read: its server answered {answer.status_code}.",
            f"Look at bucket and key, {addresses.ACCESS_KEY}, and what its owner may read.",
            {"shard": name},
        )
    if answer.status_code in _GONE or not answer.is_success:
        raise gone(name, f"its server answered {answer.status_code}")


def away(name: str, why: str) -> ShardUnavailable:
    """The error for a server that does not serve what an address names."""
    return ShardUnavailable(f"Shard {name!r} could not be fetched: {why}.", "Try again later.", {"shard": name})
