"""A stored file as an answer: streamed with ranges and validators (RFC 9110), or a redirect to the store."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import RedirectResponse, StreamingResponse
from starlette.datastructures import Headers

from api.errors.problems import PreconditionFailed, RangeNotSatisfiable
from api.http.negotiation import matches
from api.state.lanes import Lane
from store.objects import ObjectMissing, ObjectStore

PRESIGNED_SECONDS = 300
BODY_SECONDS = 30.0  # an answer that has begun waits so long for a store that answers nobody
_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})", re.IGNORECASE)


@dataclass(frozen=True)
class StoredFile:
    """What is known of the file without reading it."""

    object_key: str
    filename: str
    media_type: str
    size_bytes: int
    sha256: str
    inline: bool = False  # shown in a page and not saved

    @property
    def etag(self) -> str:
        return f'"{self.sha256}"'


@contextmanager
def still_there(look: Callable[[], object]) -> Iterator[None]:
    """Bytes that are gone because their row was deleted since it was found: what `look`, which looks again, raises.
    Raises `ObjectMissing` where the row is still there."""
    try:
        yield
    except ObjectMissing:
        look()
        raise


def respond(objects: ObjectStore, storing: Lane, file: StoredFile, headers: Headers, redirect: bool) -> Response:
    """200, 206, 304 or 307. Raises `PreconditionFailed` (412) and `RangeNotSatisfiable` (416)."""
    required = headers.get("if-match")
    if required is not None and required.strip() != "*" and file.etag not in _tags(required):
        raise PreconditionFailed("The file is not the one in If-Match.", "GET it without If-Match.")
    if matches(headers.get("if-none-match"), file.etag):
        return Response(status_code=304, headers=_validators(file))
    if redirect:
        url = objects.presigned(file.object_key, file.filename, file.media_type, PRESIGNED_SECONDS)
        if url is not None:
            return RedirectResponse(url, 307, _validators(file) | {"Cache-Control": "no-store"})
    return _stream(objects, storing, file, _wanted(headers, file))


def _stream(objects: ObjectStore, storing: Lane, file: StoredFile, wanted: tuple[int, int] | None) -> Response:
    start, end = wanted or (0, file.size_bytes)
    headers = _validators(file) | _content_headers(file) | {"Content-Length": str(end - start)}
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size_bytes}"
    body = storing.each(objects.read(file.object_key, start, end), BODY_SECONDS)
    return StreamingResponse(body, 206 if wanted else 200, headers, file.media_type)


def _validators(file: StoredFile) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(file.sha256)).decode()
    return {"ETag": file.etag, "Repr-Digest": f"sha-256=:{digest}:"}


def _content_headers(file: StoredFile) -> dict[str, str]:
    plain = re.sub(r'[^\x20-\x7e]|["\\]', "_", file.filename)
    kind = "inline" if file.inline else "attachment"
    disposition = f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(file.filename, safe='')}"
    # An SVG or HTML file of a job must never run as a page of this origin.
    return {
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition,
        "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
        "X-Content-Type-Options": "nosniff",
    }


def _wanted(headers: Headers, file: StoredFile) -> tuple[int, int] | None:
    """[start, end) of a single valid range; None for the whole file. Several ranges, other units and a failed
    `If-Range` get the whole file, as RFC 9110 allows."""
    condition = headers.get("if-range")
    found = _RANGE.fullmatch(headers.get("range", "").strip())
    if found is None or found[1] == found[2] == "" or (condition is not None and condition.strip() != file.etag):
        return None
    first, last, size = found[1], found[2], file.size_bytes
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    if first and last and int(last) < int(first):
        return None
    if start >= size or start >= end:
        detail = f"The file has {size} bytes; the range begins behind its end."
        raise RangeNotSatisfiable(detail, "Ask for less.", headers={"Content-Range": f"bytes */{size}"})
    return start, end


def _tags(header: str) -> set[str]:
    return {tag.strip() for tag in header.split(",")}
