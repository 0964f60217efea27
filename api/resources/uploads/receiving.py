"""One part's bytes, from the request to the store. At most `BLOCK_BYTES` of them are in memory."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from api.errors.bodies import compressed
from api.errors.problems import BadRequest, Unprocessable
from api.http.uploads import BLOCK_BYTES

_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]{44}):\s*(?=,|$)")


async def receive(request: Request, path: Path, size_bytes: int) -> None:
    """Write the body to `path`. Raises `BadRequest` unless it has exactly `size_bytes`, and `Unprocessable` when it is
    not what its `Content-Digest` (RFC 9530) says."""
    packed = compressed(request.headers)
    if packed is not None:
        raise packed
    _check_length(request.headers.get("content-length"), size_bytes)
    digest, total, block = hashlib.sha256(), 0, bytearray()
    with path.open("wb") as file:

        def write(content: bytes) -> None:
            digest.update(content)
            file.write(content)

        async for chunk in request.stream():
            total += len(chunk)
            if total > size_bytes:
                raise _wrong_size(size_bytes)
            block += chunk
            if len(block) >= BLOCK_BYTES:
                await run_in_threadpool(write, bytes(block))
                block.clear()
        await run_in_threadpool(write, bytes(block))
    if total != size_bytes:
        raise _wrong_size(size_bytes)
    _check_digest(request.headers.get("content-digest"), digest.digest())


def _check_length(content_length: str | None, size_bytes: int) -> None:
    if content_length is not None and content_length.isdecimal() and int(content_length) != size_bytes:
        raise _wrong_size(size_bytes)


def _check_digest(header: str | None, digest: bytes) -> None:
    given = _DIGEST.search(header or "")
    if given is not None and given[1] != base64.b64encode(digest).decode():
        detail = "The part's bytes are not what its Content-Digest says."
        raise Unprocessable(detail, "Send the part again.", code="digest_mismatch")


def _wrong_size(size_bytes: int) -> BadRequest:
    detail = f"This part has {size_bytes} bytes, and the body has more or fewer."
    remedy = "GET the upload's parts for each one's offset and size, and send exactly that."
    return BadRequest(detail, remedy, code="wrong_part_size", details={"size_bytes": size_bytes})
