"""What is wrong with a shard, by its name."""

from __future__ import annotations

from typing import NoReturn

from distill.errors import InvalidDataset, RetortError


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


def gone(shard: str, why: str) -> ShardGone:
    return ShardGone(
        f"Shard {shard!r} is gone: {why}.",
        "Put it back as it was, or register the dataset again without it.",
        {"shard": shard},
    )


def changed(shard: str, what: str) -> ShardChanged:
    return ShardChanged(
        f"Shard {shard!r} has changed since the dataset was registered: {what}.",
        "Put the shard back as it was, or register the dataset again.",
        {"shard": shard},
    )
