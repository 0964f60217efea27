"""Shards that do not lie on this machine: `https://HOST/PATH`, `s3://BUCKET/KEY`, `hf://datasets/OWNER/NAME@COMMIT/PATH`;
and by which request a process of its user's own asks for one.

`s3://` is the server that RETORT_S3_ENDPOINT names, asked with RETORT_S3_ACCESS_KEY and RETORT_S3_SECRET_KEY (or the
files that RETORT_..._FILE name), as a worker asks it; of the hub RETORT_HUGGINGFACE_ENDPOINT names a mirror. A trainer
of the service has none of these: its worker supplies it.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from distill.errors import InvalidConfig, InvalidDataset
from distill.hub_files import ENDPOINT, HubFile

if TYPE_CHECKING:
    from minio import Minio

S3, HUB = "s3", "hf"
ACCESS_KEY = "RETORT_S3_ACCESS_KEY"
SIGNED_FOR = timedelta(hours=1)
"""How long a signed request may begin. One that began goes on."""
_WEB = re.compile(r"https?://", re.IGNORECASE)
_ADDRESS = re.compile(r"(https?|s3|hf)://", re.IGNORECASE)


def is_web(name: str) -> bool:
    return _WEB.match(name) is not None


def is_address(name: str) -> bool:
    return _ADDRESS.match(name) is not None


def scheme(name: str) -> str:
    return name.partition("://")[0].lower()


def request(name: str, method: str = "GET") -> str:
    """The http address that answers for the shard, signed anew for this request where that must be. Raises
    `InvalidDataset` for what names no object or file, and `InvalidConfig` where the settings name no server."""
    if scheme(name) == HUB:
        return HubFile.of(name).served_at(hub_endpoint())
    if scheme(name) == S3:
        bucket, key = object_of(name)
        return s3_client().get_presigned_url(method, bucket, key, expires=SIGNED_FOR)
    return name


def object_of(name: str) -> tuple[str, str]:
    """Bucket and key. Raises `InvalidDataset`."""
    bucket, _, key = name.partition("://")[2].partition("/")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket) or not key:
        raise InvalidDataset(f"{name[:200]!r} names no object.", "Write s3://bucket/key.", {"shard": name})
    return bucket, key


def hub_endpoint() -> str:
    return (_setting("RETORT_HUGGINGFACE_ENDPOINT") or ENDPOINT).rstrip("/")


def s3_client() -> Minio:
    """Of the server that the environment names; says nothing to it yet. Raises `InvalidConfig`."""
    endpoint = _setting("RETORT_S3_ENDPOINT")
    if not endpoint:
        raise InvalidConfig(
            "s3:// is the server that RETORT_S3_ENDPOINT names, and it names none.",
            f"Set RETORT_S3_ENDPOINT (https://s3.amazonaws.com, for example), {ACCESS_KEY} and RETORT_S3_SECRET_KEY.",
        )
    return _client(
        endpoint, _setting("RETORT_S3_REGION") or "us-east-1", _setting(ACCESS_KEY), _setting("RETORT_S3_SECRET_KEY")
    )


@lru_cache(maxsize=4)
def _client(endpoint: str, region: str, access_key: str, secret_key: str) -> Minio:
    try:
        import urllib3
        from minio import Minio
    except ImportError as error:
        raise InvalidConfig("s3:// needs the package minio.", "Install it: pip install 'retort[store]'.") from error
    if not access_key or not secret_key:
        raise InvalidConfig(
            "The S3 server is asked by signed requests, and there is no key to sign with.",
            f"Set {ACCESS_KEY} and RETORT_S3_SECRET_KEY.",
        )
    url = urlsplit(endpoint)
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=10, read=30), retries=urllib3.Retry(3, backoff_factor=1))
    try:
        return Minio(
            endpoint=url.netloc, access_key=access_key, secret_key=secret_key, secure=url.scheme == "https",
            region=region, http_client=pool,
        )  # fmt: skip
    except ValueError as error:
        raise InvalidConfig(
            f"RETORT_S3_ENDPOINT cannot be used: {error}.", "Write https://host, without bucket or path."
        ) from error


def _setting(name: str) -> str:
    """Of the environment, or of the file that NAME_FILE names there. Raises `InvalidConfig`."""
    said, path = os.environ.get(name, ""), os.environ.get(f"{name}_FILE", "")
    if said or not path:
        return said
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"{name}_FILE cannot be read: {error}.", "Name a file that holds the value.") from error
