"""Object storage behind one small interface: a folder, or any S3-compatible server."""

from __future__ import annotations

from store.objects.base import (
    BucketMissing,
    ObjectInfo,
    ObjectMissing,
    ObjectStore,
    Part,
    StorageDenied,
    StorageUnavailable,
)
from store.objects.folder import FolderStore
from store.objects.http import ANSWER_SECONDS
from store.objects.s3 import S3Store
from store.settings import Settings

__all__ = [
    "BucketMissing",
    "FolderStore",
    "ObjectInfo",
    "ObjectMissing",
    "ObjectStore",
    "Part",
    "S3Store",
    "StorageDenied",
    "StorageUnavailable",
    "open_store",
]


def open_store(settings: Settings, answer_seconds: float = ANSWER_SECONDS) -> ObjectStore:
    """The store that the settings name. Makes its folder or bucket if it is not there. A server's next byte is awaited
    for `answer_seconds` at most."""
    if not settings.s3_endpoint:
        return FolderStore(settings.data_dir.absolute() / "objects")
    return S3Store(
        endpoint=settings.s3_endpoint,
        public_endpoint=settings.s3_public_endpoint,
        bucket=settings.s3_bucket,
        region=settings.s3_region,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key.get_secret_value(),
        answer_seconds=answer_seconds,
    )
