"""Uploads in parts: the same promises from a folder and from an S3 server."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest
import urllib3

from store.objects import FolderStore, ObjectMissing, ObjectStore, S3Store
from tests.services.s3 import ACCESS_KEY, S3, SECRET_KEY

MIB = 1 << 20
FIRST = 5 * MIB  # S3 refuses smaller parts, but for the last
KEY = "uploads/upl_1/content"


def file(folder: Path, content: bytes) -> Path:
    path = folder / "part"
    path.write_bytes(content)
    return path


def content(store: ObjectStore, key: str = KEY) -> bytes:
    return b"".join(store.read(key))


def test_parts_in_any_order_become_one_object(objects: ObjectStore, tmp_path: Path) -> None:
    handle = objects.parts.begin(KEY)
    assert objects.parts.arrived(KEY, handle) == []
    assert objects.parts.put(KEY, handle, 2, file(tmp_path, b"end")).size_bytes == 3
    assert objects.parts.put(KEY, handle, 1, file(tmp_path, b"x" * FIRST)).number == 1
    time.sleep(1.1)  # S3 tells the age of parts in seconds
    assert objects.parts.put(KEY, handle, 1, file(tmp_path, b"y" * FIRST)).number == 1  # the later one counts
    assert [(part.number, part.size_bytes) for part in objects.parts.arrived(KEY, handle)] == [(1, FIRST), (2, 3)]
    with pytest.raises(ObjectMissing):
        objects.size(KEY)
    assert list(objects.keys("uploads/")) == []
    objects.parts.join(KEY, handle)
    assert hashlib.sha256(content(objects)).digest() == hashlib.sha256(b"y" * FIRST + b"end").digest()
    with pytest.raises(ObjectMissing):
        objects.parts.arrived(KEY, handle)
    objects.parts.abort(KEY, handle)  # no error, and the object stays
    assert objects.size(KEY) == FIRST + 3


def test_an_aborted_upload_leaves_nothing(objects: ObjectStore, tmp_path: Path) -> None:
    handle = objects.parts.begin(KEY)
    objects.parts.put(KEY, handle, 1, file(tmp_path, b"x"))
    objects.parts.abort(KEY, handle)
    for _ in range(2):
        objects.parts.abort(KEY, handle)
        with pytest.raises(ObjectMissing):
            objects.parts.arrived(KEY, handle)
        with pytest.raises(ObjectMissing):
            objects.parts.put(KEY, handle, 1, file(tmp_path, b"x"))
    assert list(objects.keys("")) == []


def test_a_folder_has_no_urls_and_takes_no_foreign_handles(folder_store: FolderStore, tmp_path: Path) -> None:
    handle = folder_store.parts.begin(KEY)
    assert folder_store.parts.url(KEY, handle, 1, 60) is None
    secret = folder_store.root.parent / "secret"
    secret.mkdir()
    for bad in ("../../secret", "", "0" * 32):
        folder_store.parts.abort(KEY, bad)
        with pytest.raises(ObjectMissing):
            folder_store.parts.put(KEY, bad, 1, file(tmp_path, b"x"))
    assert secret.is_dir()
    assert (folder_store.root / ".parts" / handle).is_dir()


@pytest.mark.services
def test_clients_put_parts_to_presigned_urls(s3: S3, s3_store: S3Store, tmp_path: Path) -> None:
    handle = s3_store.parts.begin(KEY)
    url = s3_store.parts.url(KEY, handle, 1, 60)
    assert url is not None
    assert SECRET_KEY not in url
    assert urllib3.request("PUT", url, body=b"direct", retries=False).status == 200
    assert urllib3.request("PUT", url.replace("partNumber=1", "partNumber=2"), body=b"x", retries=False).status == 403
    s3_store.parts.join(KEY, handle)
    assert content(s3_store) == b"direct"
    private = S3Store(s3.endpoint, "", s3_store.bucket, "us-east-1", ACCESS_KEY, SECRET_KEY)
    assert private.parts.url(KEY, handle, 1, 60) is None


@pytest.mark.services
def test_the_listing_has_pages(s3_store: S3Store, tmp_path: Path) -> None:
    s3_store.parts.page = 2
    handle = s3_store.parts.begin(KEY)
    for number in range(1, 6):
        s3_store.parts.put(KEY, handle, number, file(tmp_path, b"x"))
    assert [part.number for part in s3_store.parts.arrived(KEY, handle)] == [1, 2, 3, 4, 5]
    s3_store.parts.abort(KEY, handle)
