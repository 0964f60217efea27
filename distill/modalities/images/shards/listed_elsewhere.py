"""From an address to the names of the shards that it means: braces, a list at an address, or what lies in a folder of a
bucket or of the hub."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from distill import shard_names
from distill.errors import InvalidDataset
from distill.hub_files import HubFile
from distill.modalities.images.shards import addresses, origin
from distill.modalities.images.shards.addresses import S3

LIST_BYTES = 32 * 2**20


def named_by(given: str) -> list[str]:
    """The names, in order, each an address. Raises `InvalidDataset` for a folder of what lists nothing and for a list
    that cannot be read, `InvalidConfig` and `ShardUnavailable` as `origin.read`."""
    path = given.partition("?")[0]
    if "*" in path or path.endswith("/"):
        return _in_folder(path)
    if PurePosixPath(path).suffix.lower() in shard_names.LISTS:
        lines = shard_names.in_list(given, _text(given, given))
        return shard_names.gathered(given, map(shard_names.expanded, lines))
    return shard_names.expanded(given)


def _in_folder(given: str) -> list[str]:
    folder, pattern = shard_names.folder(given)
    names = _in_bucket(folder) if addresses.scheme(folder) == S3 else _in_repository(folder)
    return [folder + name for name in shard_names.among(names, pattern)]


def _in_bucket(folder: str) -> list[str]:
    """Names of the objects right below a folder."""
    client = addresses.s3_client()
    from minio.error import MinioException, S3Error
    from urllib3.exceptions import HTTPError

    bucket, key = addresses.object_of(f"{folder}x")
    prefix = key.removesuffix("x")
    try:
        found: list[Any] = list(client.list_objects(bucket_name=bucket, prefix=prefix, recursive=False))
    except S3Error as error:
        remedy = f"Look at the bucket's name, {addresses.ACCESS_KEY}, and what its owner may list."
        raise InvalidDataset(f"{folder!r} was not listed: {error.code}.", remedy, {"shards": folder}) from error
    except (MinioException, HTTPError, OSError) as error:
        raise origin.away(folder, type(error).__name__) from error
    return [item.object_name.removeprefix(prefix) for item in found if item.object_name and not item.is_dir]


def _in_repository(folder: str) -> list[str]:
    inside = HubFile.of(f"{folder}x")
    return inside.beside(_text(inside.listed_at(addresses.hub_endpoint()), folder).encode(), folder)


def _text(name: str, called: str) -> str:
    """What lies at an address. Raises `InvalidDataset` where it is too long or no text."""
    found = bytearray()
    for chunk in origin.read(name):
        found += chunk
        if len(found) > LIST_BYTES:
            raise InvalidDataset(f"The list {called!r} has more than {LIST_BYTES:,} bytes.", "Write a shorter one.")
    try:
        return found.decode()
    except UnicodeDecodeError as error:
        raise InvalidDataset(f"The list {called!r} is no text.", "Write one shard a line, in UTF-8.") from error
