"""Where a dataset's file may be fetched from: judged by name here (API and worker), by address when it is fetched.

`https://host/path` of allowed hosts, `s3://bucket/key` of the operator's buckets on the service's own S3 server,
`hf://datasets/OWNER/NAME@REVISION/PATH` where the hub is allowed, REVISION being a whole commit: 40 hex digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from distill.errors import InvalidDataset
from distill.hub_files import HubFile
from store.egress import Policy, UrlRefused, check_name
from store.settings import Settings

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_KEY_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class S3Reference:
    """An object of one of the operator's buckets."""

    bucket: str
    key: str
    filename: str


@dataclass(frozen=True, slots=True)
class WebReference:
    """A URL, and what it and its redirects may lead to."""

    url: str
    policy: Policy
    filename: str


Reference = S3Reference | WebReference


def schemes(settings: Settings) -> list[Literal["https", "s3", "hf"]]:
    """Kinds of URL that the settings allow at all."""
    allowed: dict[Literal["https", "s3", "hf"], bool] = {
        "https": bool(settings.dataset_policy.hosts),
        "s3": bool(settings.dataset_buckets),
        "hf": settings.huggingface,
    }
    return [scheme for scheme, is_allowed in allowed.items() if is_allowed]


def object_key(dataset_id: str, role: str) -> str:
    """Where a fetched file is kept. Known before its format is, so that whoever deletes the row finds it."""
    return f"datasets/{dataset_id}/{role}.fetched"


def parse(settings: Settings, url: str) -> Reference:
    """What the URL names. Raises `UrlRefused` for all that the settings do not allow."""
    scheme, separator, rest = url.partition("://")
    if not separator or any(ord(character) < 33 or ord(character) == 127 for character in url):
        raise UrlRefused(f"{url[:200]!a} is not a URL.", "Send it whole, as https://host/path.")
    if scheme.lower() == "s3":
        return _s3(settings, rest)
    if scheme.lower() == "hf":
        return _hub(settings, url)
    check_name(url, settings.dataset_policy)
    return WebReference(url, settings.dataset_policy, _filename(urlsplit(url).path))


def _s3(settings: Settings, rest: str) -> S3Reference:
    bucket, _, key = rest.partition("/")
    _check_path(key)
    if not _BUCKET.fullmatch(bucket):
        raise UrlRefused(f"{bucket[:80]!a} is no bucket's name.", "Write s3://bucket/key.")
    allowed = [entry.strip().rstrip("/") for entry in settings.dataset_buckets.split(",") if entry.strip()]
    if not any(f"{bucket}/{key}".startswith(f"{entry}/") for entry in allowed):
        raise UrlRefused(
            f"The operator does not allow datasets from s3://{bucket}/{key[:200]}.",
            "Use a bucket that is allowed, or have the operator add it to RETORT_DATASET_BUCKETS.",
        )
    return S3Reference(bucket, key, _filename(key))


def _hub(settings: Settings, url: str) -> WebReference:
    if not settings.huggingface:
        raise UrlRefused("Datasets from the hub are not allowed.", "Have the operator set RETORT_HUGGINGFACE=true.")
    try:
        found = HubFile.of(url)
    except InvalidDataset as error:
        raise UrlRefused(error.message, error.remedy) from error
    _check_path(found.path)
    served = found.served_at(settings.huggingface_endpoint)
    check_name(served, settings.huggingface_policy)
    return WebReference(served, settings.huggingface_policy, _filename(found.path))


def _check_path(path: str) -> None:
    """Some servers walk `..` as folders: out of the bucket."""
    parts = path.split("/")
    if not path or len(path) > _KEY_LENGTH or "\\" in path or any(part in ("", ".", "..") for part in parts):
        raise UrlRefused(f"{path[:200]!a} is no plain path.", "Leave out empty parts, . and ..")


def _filename(path: str) -> str:
    return PurePosixPath(path).name[:200]
