"""Where the bytes of a shard come from: a file of this machine, or an `https://` address."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from distill.modalities.images.shards.listing import is_web
from distill.modalities.images.shards.refusal import ShardUnavailable, changed, gone

TRIES, PAUSE_SECONDS = 4, 0.5
_TIMEOUT = httpx.Timeout(connect=10, read=30, write=30, pool=10)
_GONE = frozenset({401, 403, 404, 410})
_CHUNK = 2**20


def local(name: str) -> Path | None:
    """The shard's file where it lies on this machine, None for an address."""
    return None if is_web(name) else Path(name)


def read(name: str, size_bytes: int | None = None) -> Iterator[bytes]:
    """The shard's bytes. A server that stumbles (no answer, 429, 5xx, a cut connection) is asked `TRIES` times, each
    time for what is missing still, with pauses that double from `PAUSE_SECONDS` on. `size_bytes`: what it is known to
    have. Raises `ShardGone`, `ShardChanged` and `ShardUnavailable`."""
    path = local(name)
    yield from _file(path, name) if path is not None else _web(name, size_bytes)


def mark(name: str) -> str | None:
    """What changes when the shard does, without reading it: size and time of its file; size and `ETag` of an address.
    None where nothing tells. Raises `ShardGone`, `ShardUnavailable`."""
    path = local(name)
    try:
        if path is not None:
            found = path.stat()
            return f"{path.resolve()} {found.st_size} {found.st_mtime_ns}"
        answer = httpx.head(name, timeout=_TIMEOUT, follow_redirects=True)
        _check(answer, name)
    except OSError as error:
        raise gone(name, str(error)) from error
    except httpx.HTTPError as error:
        raise _away(name, type(error).__name__) from error
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
            with httpx.stream("GET", name, headers=headers, timeout=_TIMEOUT, follow_redirects=True) as answer:
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
                raise _away(name, str(error) or type(error).__name__) from error
            time.sleep(pause_seconds)
            pause_seconds *= 2


def _check(answer: httpx.Response, name: str) -> None:
    if answer.status_code >= 500 or answer.status_code == 429:
        raise _away(name, f"its server answered {answer.status_code}")
    if answer.status_code in _GONE or not answer.is_success:
        raise gone(name, f"its server answered {answer.status_code}")


def _away(name: str, why: str) -> ShardUnavailable:
    return ShardUnavailable(f"Shard {name!r} could not be fetched: {why}.", "Try again later.", {"shard": name})
