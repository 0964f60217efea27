"""Objects on any S3-compatible server, through the `minio` client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError
from urllib3.exceptions import HTTPError

from store.objects.base import (
    CHUNK_BYTES,
    BucketMissing,
    ObjectInfo,
    ObjectMissing,
    StorageDenied,
    StorageUnavailable,
    describe,
)
from store.objects.http import ANSWER_SECONDS, connections
from store.objects.s3_parts import S3Parts

P = ParamSpec("P")
R = TypeVar("R")
SETTLING = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between looks for a bucket that was made."""
_MISSING = frozenset({"NoSuchKey", "NoSuchObject", "ResourceNotFound"})
_DENIED = (
    "AccessDenied",
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "AccountProblem",
    "ExpiredToken",
    "InvalidToken",
)
_REFUSED: dict[str, type[StorageUnavailable]] = dict.fromkeys(_DENIED, StorageDenied) | {"NoSuchBucket": BucketMissing}


def _translated(method: Callable[P, R]) -> Callable[P, R]:
    """The client's many failures as the few that callers can act on."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except FileNotFoundError:  # the caller's own file
            raise
        except S3Error as error:
            if error.code in _MISSING:
                raise ObjectMissing(error.object_name or "") from error
            refused = _REFUSED.get(error.code or "", StorageUnavailable)
            raise refused(f"S3 answered {error.code}: {error.message}") from error
        except (HTTPError, ServerError, InvalidResponseError, OSError) as error:
            raise StorageUnavailable(f"S3 did not answer: {error}") from error

    return call


class S3Store:
    """One bucket. `public_endpoint` is only signed for, never called: clients reach the server by it. `make`: make the
    bucket if it is not there; not for others' buckets. `answer_seconds`: longest wait for the server's next byte."""

    def __init__(
        self,
        endpoint: str,
        public_endpoint: str,
        bucket: str,
        region: str,
        access_key: str,
        secret_key: str,
        make: bool = True,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self.bucket, self._missing = bucket, make
        http = connections(answer_seconds)
        self._client = _client(endpoint, region, access_key, secret_key, http)
        self._public = _client(public_endpoint, region, access_key, secret_key, http) if public_endpoint else None
        self.parts = S3Parts(bucket, self._usable, self._public, http)

    @_translated
    def _usable(self) -> Minio:
        return self._ready

    @property
    def _ready(self) -> Minio:
        """The client, once the bucket is known to exist: a store that is down at start costs no restart. Without a
        lock (`cached_property` has one in Python 3.11): callers of a silent server would wait one behind the other."""
        if self._missing and not self._client.bucket_exists(bucket_name=self.bucket):
            try:
                self._client.make_bucket(bucket_name=self.bucket)
            except S3Error as error:
                if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                    raise
            self._await_bucket()
        self._missing = False
        return self._client

    def _await_bucket(self) -> None:
        """Until every part of the server knows of the bucket that was just made, perhaps by somebody else: one that
        was asked before may remember for a moment that there is none."""
        for pause in SETTLING:
            if self._client.bucket_exists(bucket_name=self.bucket):
                return
            time.sleep(pause)

    @_translated
    def put(self, key: str, path: Path) -> ObjectInfo:
        if not path.is_file():
            raise FileNotFoundError(path)
        info = describe(key, path)
        self._ready.fput_object(
            bucket_name=self.bucket, object_name=key, file_path=str(path), metadata={"sha256": info.sha256}
        )
        return info

    @_translated
    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        if end is not None and end <= start:
            return iter(())
        length = 0 if end is None else end - start
        try:
            answer = self._ready.get_object(bucket_name=self.bucket, object_name=key, offset=start, length=length)
        except S3Error as error:
            if error.code != "InvalidRange":  # begins at or behind the end: no bytes, as in a file
                raise
            return iter(())
        return _body(answer)

    @_translated
    def size(self, key: str) -> int:
        size = self._ready.stat_object(bucket_name=self.bucket, object_name=key).size
        return int(size or 0)

    @_translated
    def delete(self, key: str) -> None:
        self._ready.remove_object(bucket_name=self.bucket, object_name=key)

    @_translated
    def keys(self, prefix: str) -> Iterator[str]:
        found = self._ready.list_objects(bucket_name=self.bucket, prefix=prefix, recursive=True)
        return iter([item.object_name for item in found if item.object_name])

    @_translated
    def keys_in(self, folder: str) -> list[str]:
        """Keys right below a prefix that ends with a slash, or in the bucket's top where it is empty."""
        found = self._ready.list_objects(bucket_name=self.bucket, prefix=folder, recursive=False)
        return [item.object_name for item in found if item.object_name and not item.is_dir]

    @_translated
    def presigned(self, key: str, filename: str, media_type: str, seconds: int) -> str | None:
        if self._public is None:
            return None
        return self._public.presigned_get_object(
            bucket_name=self.bucket,
            object_name=key,
            expires=timedelta(seconds=seconds),
            response_headers={
                "response-content-disposition": f'attachment; filename="{filename}"',
                "response-content-type": media_type,
            },
        )

    @_translated
    def ping(self) -> None:
        self._ready.bucket_exists(bucket_name=self.bucket)


def _client(endpoint: str, region: str, access_key: str, secret_key: str, http: urllib3.PoolManager) -> Minio:
    url = urlsplit(endpoint)
    return Minio(
        endpoint=url.netloc,
        access_key=access_key,
        secret_key=secret_key,
        secure=url.scheme == "https",
        region=region,
        http_client=http,
    )


def _body(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    try:
        yield from answer.stream(CHUNK_BYTES)
    except (HTTPError, OSError) as error:
        raise StorageUnavailable(f"S3 broke off while reading: {error}") from error
    finally:
        answer.close()
        answer.release_conn()
