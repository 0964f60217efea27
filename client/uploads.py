"""Files too large for one request: sent in parts, going on where an earlier try broke off."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import httpx

from client.errors import RetortClientError
from client.transport import Transport

LARGE_BYTES = 64 * 2**20
TRIES = 5
PART_TIMEOUT = httpx.Timeout(30, read=300, write=300)
#: Called with the bytes that are there and the bytes of the whole file.
Progress = Callable[[int, int], None]


def upload(transport: Transport, file: Path, purpose: str, progress: Progress | None = None) -> str:
    """Send the file; the id of its upload, complete and verified by sha256. A second call for the same file within a
    day goes on with what the first one left. Raises `ProblemError`, `Unreachable`, `RetortClientError`."""
    size, sha256 = file.stat().st_size, _sha256(file)
    made = _begin(transport, {"filename": file.name, "size_bytes": size, "sha256": sha256, "purpose": purpose})
    if made["status"] == "open":
        with _Sender(transport, file, made, progress or (lambda done, total: None)) as sender:
            sender.send()
    return _complete(transport, made["id"])


def _begin(transport: Transport, body: dict[str, Any]) -> Any:
    """An upload of this very file: one that an earlier call began, or a new one."""
    names = [str(body[name]) for name in sorted(body)]
    same = hashlib.sha256("\n".join(names).encode()).hexdigest()
    for key in (f"upload-{same}", uuid4().hex):
        made = transport.request("POST", "/uploads", json=body, headers={"Idempotency-Key": key}).json()
        if made["status"] in {"open", "completing", "complete"}:
            break
    return made


def _complete(transport: Transport, upload_id: str) -> str:
    path, headers = f"/uploads/{upload_id}/complete", {"Prefer": "wait=300"}
    while transport.request("POST", path, headers=headers, repeatable=True).status_code == httpx.codes.ACCEPTED:
        time.sleep(1)
    return upload_id


class _Sender:
    """Sends the parts that have not arrived, to the object store where it can be reached, else through the API."""

    def __init__(self, transport: Transport, file: Path, made: Any, progress: Progress) -> None:
        self._transport, self._path, self._id, self._progress = transport, file, made["id"], progress
        self._total, self._done, self._direct = made["size_bytes"], 0, made["direct"]
        # Not the service's client: the key is not for the object store, whose URLs are signed.
        self._store = httpx.Client(timeout=PART_TIMEOUT)
        self._stack = ExitStack()

    def __enter__(self) -> _Sender:
        self._file: BinaryIO = self._stack.enter_context(self._path.open("rb"))
        self._stack.enter_context(self._store)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def send(self) -> None:
        for part in self._parts():
            if not part["received"]:
                self._send(part)
            self._done += part["size_bytes"]
            self._progress(self._done, self._total)

    def _parts(self) -> Iterator[Any]:
        """Page by page, as they are sent: signed URLs do not live for long."""
        cursor: str | None = None
        while True:
            page = self._page(cursor, 20)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _page(self, cursor: str | None, limit: int) -> Any:
        query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        return self._transport.request("GET", f"/uploads/{self._id}/parts", params=query).json()

    def _send(self, part: Any) -> None:
        self._file.seek(part["offset"])
        content = self._file.read(part["size_bytes"])
        if len(content) != part["size_bytes"]:
            raise RetortClientError(f"{self._path} became shorter while it was read.", "Send it again.")
        if not (self._direct and self._to_store(part["url"], content)):
            self._to_service(part["number"], content)

    def _to_store(self, url: str, content: bytes) -> bool:
        """False when the store cannot be reached from here, or does not take it: then the service must."""
        for attempt in range(TRIES):
            try:
                answer = self._store.put(url, content=content)
            except httpx.ConnectError:
                self._direct = False
                return False
            except httpx.TransportError:
                time.sleep(0.5 * 2**attempt)
                continue
            if answer.is_success:
                return True
            if answer.is_client_error:  # the URL is too old, or a proxy in between changes requests
                return False
            time.sleep(0.5 * 2**attempt)
        return False

    def _to_service(self, number: int, content: bytes) -> None:
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        headers = {"Content-Digest": f"sha-256=:{digest}:", "Content-Type": "application/octet-stream"}
        path = f"/uploads/{self._id}/parts/{number}"
        self._transport.request("PUT", path, content=content, headers=headers, timeout=PART_TIMEOUT)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
