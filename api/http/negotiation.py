"""Request headers that choose how to answer: Accept, Prefer, ETags."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import Header, Response

from api.errors.problems import NotAcceptable

_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?=[,;]|$)", re.IGNORECASE)
MAX_WAIT_SECONDS = 300.0

Accept = Annotated[str | None, Header(description="Media types that the client takes, RFC 9110.")]
Prefer = Annotated[
    str | None, Header(description="`wait=N`: answer after N seconds at most (RFC 7240).", examples=["wait=30"])
]
IfNoneMatch = Annotated[str | None, Header(description="ETag of what the client has: 304 if it is still current.")]


def best(accept: str | None, offered: Sequence[str]) -> str:
    """The offered media type that `accept` likes best; the first on a tie or without `accept`. Raises
    `NotAcceptable`."""
    if not accept or not accept.strip():
        return offered[0]
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    liked = [(_quality(ranges, media), -position) for position, media in enumerate(offered)]
    quality, position = max(liked)
    if quality <= 0:
        raise NotAcceptable(f"None of {accept!r} is offered here.", f"Accept one of {', '.join(offered)}.")
    return offered[-position]


def _range(part: str) -> tuple[str, float]:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return media, float(parameter[2:])
            except ValueError:
                return media, 0.0
    return media, 1.0


def _quality(ranges: list[tuple[str, float]], media: str) -> float:
    """The quality that the most specific matching range gives."""
    found = [(0 if r == "*/*" else 1 if r.endswith("/*") else 2, q) for r, q in ranges if _matches(r, media)]
    return max(found, key=lambda item: item[0])[1] if found else 0.0


def _matches(media_range: str, media: str) -> bool:
    return media_range in {"*/*", media} or (media_range.endswith("/*") and media.startswith(media_range[:-1]))


def wait_seconds(prefer: str | None, default: float = 0.0) -> float:
    """Seconds of `Prefer: wait=N`, at most `MAX_WAIT_SECONDS`."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), MAX_WAIT_SECONDS) if found else default


def applied(response: Response, prefer: str | None) -> None:
    """Say in the answer that it waited as was preferred (RFC 7240 section 3)."""
    if seconds := wait_seconds(prefer):
        response.headers["Preference-Applied"] = f"wait={seconds:g}"


def matches(header: str | None, etag: str) -> bool:
    """Weak comparison of an `If-None-Match` header with an ETag (RFC 9110 section 8.8.3.2)."""
    if header is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags
