"""What a status means, as the rest of a sentence about a job or a study."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_IS: Mapping[str, str] = MappingProxyType(
    {
        "queued": "waits in the queue",
        "running": "is running",
        "pausing": "is being paused",
        "paused": "is paused",
        "stopping": "is being stopped",
        "cancelling": "is being cancelled",
        "succeeded": "has succeeded",
        "failed": "has failed",
        "cancelled": "was cancelled",
    }
)
_CANNOT: Mapping[str, str] = MappingProxyType(
    {
        "queued": "be queued again",
        "running": "go on",
        "pausing": "be paused",
        "paused": "be paused",
        "stopping": "be stopped",
        "cancelling": "be cancelled",
        "cancelled": "be cancelled",
    }
)


def standing(status: str) -> str:
    """`has succeeded`."""
    return _IS.get(status, f"is {status}")


def refusal(current: str, wanted: str) -> str:
    """`has succeeded and cannot be cancelled`."""
    return f"{standing(current)} and cannot {_CANNOT.get(wanted, f'become {wanted}')}"
