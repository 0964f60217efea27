"""Files of a job onto disk: resumed where they broke off, and compared with their sha256 before they get their name."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import httpx

from client.errors import Corrupt, Unreachable
from client.transport import PAUSE_SECONDS, Transport
from client.types import Artifact

TRIES = 5  # in a row without a byte that was not there before


def download(transport: Transport, artifact: Artifact, path: Path) -> Path:
    """Write the artifact to `path`: complete and verified, or not at all. A broken download goes on where it stopped,
    as often as it gets further.

    Raises `Corrupt` when the bytes are not those that the service stored, `ProblemError`, `Unreachable`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{artifact['sha256'][:8]}.part")
    most, left = _size(partial), TRIES
    while True:
        try:
            _append(transport, artifact, partial)
            break
        except (httpx.TransportError, httpx.StreamError) as error:
            most, left = max(most, _size(partial)), TRIES if _size(partial) > most else left - 1
            if not left:
                raise Unreachable(transport.url, str(error) or type(error).__name__) from error
            time.sleep(PAUSE_SECONDS)
    _verify(artifact, partial)
    partial.replace(path)
    return path


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _append(transport: Transport, artifact: Artifact, partial: Path) -> None:
    """No `If-Range`: behind a redirect the object store has an ETag of its own, and would send all of it again. That
    the file is still the same one is what its sha256 tells in the end."""
    have = _size(partial)
    if have >= artifact["size_bytes"] > 0:
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with transport.stream(artifact["href"], headers, read_seconds=60) as response:
        goes_on = response.status_code == httpx.codes.PARTIAL_CONTENT
        with partial.open("ab" if goes_on else "wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)


def _verify(artifact: Artifact, partial: Path) -> None:
    with partial.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != artifact["sha256"]:
        partial.unlink()
        raise Corrupt(f"{artifact['name']} arrived with other bytes than the service stored.", "Download it again.")
