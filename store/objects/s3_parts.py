"""Multipart uploads on an S3 server (AWS S3 API: CreateMultipartUpload, UploadPart, ListParts, Complete, Abort).

The `minio` client has no public call for any of them. What it has is `get_presigned_url`, which signs any method and
query, so every request here is a URL signed by the library and sent by us. Clients get the same URLs of UploadPart,
signed for the public endpoint (a signature covers the host).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import urllib3
from minio import Minio
from urllib3.exceptions import HTTPError

from store.objects.base import ObjectMissing, Part, StorageUnavailable
from store.objects.http import CONNECT_SECONDS

REQUEST_SECONDS = 300  # that a signature holds
JOIN_SECONDS = 300.0  # joining thousands of parts takes a server its time
_GONE = frozenset({"NoSuchUpload", "NoSuchKey"})


class _Listed(NamedTuple):
    number: int
    size_bytes: int
    etag: str
    modified: str  # ISO 8601


class S3Parts:
    """`ready` gives the client once the bucket is known to exist; `public` signs for clients (None: they cannot reach
    the server)."""

    page = 1000  # parts of one ListParts answer: what S3 gives at most

    def __init__(
        self, bucket: str, ready: Callable[[], Minio], public: Minio | None, http: urllib3.PoolManager
    ) -> None:
        self._bucket, self._ready, self._public, self._http = bucket, ready, public, http

    def begin(self, key: str) -> str:
        answer = self._call("POST", key, {"uploads": ""})
        return _text(answer, "UploadId")

    def put(self, key: str, handle: str, number: int, path: Path) -> Part:
        size = path.stat().st_size
        with path.open("rb") as file:  # sent as a stream: a part never is in memory whole
            body = file if size else b""
            self._call("PUT", key, _part(handle, number), body, {"Content-Length": str(size)})
        return Part(number, size)

    def url(self, key: str, handle: str, number: int, seconds: int) -> str | None:
        if self._public is None:
            return None
        return self._signed(self._public, "PUT", key, _part(handle, number), seconds)

    def arrived(self, key: str, handle: str) -> list[Part]:
        return [Part(number, size) for number, size, _, _ in self._listed(key, handle)]

    def join(self, key: str, handle: str) -> None:
        root = ElementTree.Element("CompleteMultipartUpload")
        for number, _, etag, _ in self._listed(key, handle):
            part = ElementTree.SubElement(root, "Part")
            ElementTree.SubElement(part, "PartNumber").text = str(number)
            ElementTree.SubElement(part, "ETag").text = etag
        body = ElementTree.tostring(root)
        answer = self._call("POST", key, {"uploadId": handle}, body, {"Content-Type": "application/xml"}, JOIN_SECONDS)
        if _tag(answer) == "Error":  # S3 says 200 before it knows how the joining ends
            raise StorageUnavailable(f"S3 could not join the parts of {key}: {_text(answer, 'Code')}")

    def abort(self, key: str, handle: str) -> None:
        try:
            self._call("DELETE", key, {"uploadId": handle})
        except ObjectMissing:  # aborted or joined already
            return

    def _listed(self, key: str, handle: str) -> list[_Listed]:
        """By number. SeaweedFS also lists what a later part of the same number has replaced: the newest counts."""
        newest: dict[int, _Listed] = {}
        for part in sorted(self._pages(key, handle), key=lambda part: part.modified):
            newest[part.number] = part
        return sorted(newest.values())

    def _pages(self, key: str, handle: str) -> Iterator[_Listed]:
        marker, more = "0", True
        while more:
            query = {"uploadId": handle, "part-number-marker": marker, "max-parts": str(self.page)}
            answer = self._call("GET", key, query)
            for part in answer.iterfind("{*}Part"):
                number, size = int(_text(part, "PartNumber")), int(_text(part, "Size"))
                yield _Listed(number, size, _text(part, "ETag"), _text(part, "LastModified", ""))
            more = _text(answer, "IsTruncated", "false") == "true"
            marker = _text(answer, "NextPartNumberMarker", "0")

    def _call(
        self,
        method: str,
        key: str,
        query: dict[str, str],
        body: Any = None,
        headers: dict[str, str] | None = None,
        seconds: float | None = None,
    ) -> ElementTree.Element:
        limit: dict[str, Any] = (
            {} if seconds is None else {"timeout": urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds)}
        )
        try:
            url = self._signed(self._ready(), method, key, query, REQUEST_SECONDS)
            answer = self._http.request(method, url, body=body, headers=headers or {}, **limit)
        except (HTTPError, OSError) as error:
            raise StorageUnavailable(f"S3 did not answer: {error}") from error
        if answer.status < 300:
            return _parsed(answer.data)
        code = _text(_parsed(answer.data), "Code", str(answer.status))
        if code in _GONE or (answer.status == 404 and method != "POST"):
            raise ObjectMissing(key)
        raise StorageUnavailable(f"S3 answered {answer.status} {code}")

    def _signed(self, client: Minio, method: str, key: str, query: dict[str, str], seconds: int) -> str:
        expires = timedelta(seconds=seconds)
        return client.get_presigned_url(method, self._bucket, key, expires=expires, extra_query_params=dict(query))


def _part(handle: str, number: int) -> dict[str, str]:
    return {"partNumber": str(number), "uploadId": handle}


def _parsed(content: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(content)  # noqa: S314 - the operator's own server, not a client
    except ElementTree.ParseError:
        return ElementTree.Element("Empty")


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ElementTree.Element, name: str, default: str | None = None) -> str:
    found = element.findtext(f"{{*}}{name}", default)
    if found is None:
        raise StorageUnavailable(f"S3's answer has no {name}")
    return found
