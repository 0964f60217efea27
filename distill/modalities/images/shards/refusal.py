"""What is wrong with a shard, by its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from distill.errors import InvalidDataset, RetortError

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
"""First bytes of gzip, bzip2, xz and zstd."""
_WRITE = "Look at what lies there; write the shard again, as a plain tar or as parquet."


class ShardGone(InvalidDataset):
    """A shard that the index names is not there any more. A job goes on once it was put back."""

    retryable = True


class ShardChanged(InvalidDataset):
    """A shard holds other bytes than when its index was written. A job goes on once it was put back."""

    retryable = True


class ShardUnavailable(RetortError):
    """The shard's own server did not serve it; it may later."""

    code = "reference_unavailable"
    retryable = True


def refuse(shard: str, what: str, remedy: str, **details: object) -> NoReturn:
    """Raise `InvalidDataset` for what is wrong within a shard."""
    raise InvalidDataset(f"Shard {shard!r}: {what}.", remedy, {"shard": shard} | details)


@contextmanager
def naming(shard: str, remedy: str | None = _WRITE) -> Iterator[None]:
    """Say which shard it is that the reader of its format refuses, and what to do about a shard; None: what the reader
    says."""
    try:
        yield
    except InvalidDataset as error:
        if "shard" in error.details:
            raise
        told = remedy or error.remedy
        raise InvalidDataset(f"Shard {shard!r}: {error.message}", told, error.details | {"shard": shard}) from error


def check_head(shard: str, head: bytes) -> None:
    """Refuse by its first bytes a shard without any, a compressed one that is not called so, and what servers send in
    place of a file, with all signs of success: a page that asks for a login."""
    if not head:
        refuse(shard, "it is empty: it has no byte", "Write or copy it again, or leave it out.")
    if head.startswith(_COMPRESSED):
        refuse(shard, "it is compressed, whatever its name says", "Unpack it (gunzip): a shard is read in parts.")
    if head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        refuse(shard, "it is a web page", "Look at what its address serves: a login, or an error, most often.")


def gone(shard: str, why: str) -> ShardGone:
    return ShardGone(
        f"Shard {shard!r} is gone: {why}.",
        "Put it back as it was, or register the dataset again without it.",
        {"shard": shard},
    )


def unreadable(shard: str, why: str) -> ShardGone:
    return ShardGone(
        f"Shard {shard!r} cannot be read any more: {why}.",
        "Have its address serve it as it was, or register the dataset again.",
        {"shard": shard},
    )


def changed(shard: str, what: str) -> ShardChanged:
    return ShardChanged(
        f"Shard {shard!r} has changed since the dataset was registered: {what}.",
        "Put the shard back as it was, or register the dataset again.",
        {"shard": shard},
    )
