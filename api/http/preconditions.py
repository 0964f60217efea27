"""`ETag` with `If-None-Match` (304) and `If-Match` (412) of resources that change (RFC 9110 section 13).

A tag is strong: it is made of the very JSON that GET answers, so two equal tags are two equal answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Set
from typing import Annotated, Any, TypeVar

from fastapi import Header, Response
from pydantic import BaseModel

from api.errors.problems import PreconditionFailed
from api.http.negotiation import matches

M = TypeVar("M", bound=BaseModel)
IfMatch = Annotated[
    str | None,
    Header(
        description="ETag of what the client has seen: 412 if it is not what is there any more.", examples=['"0a1b"']
    ),
]
HEADERS: dict[str, Any] = {"ETag": {"description": "Changes with every change.", "schema": {"type": "string"}}}
#: `also=` of `documented` for a GET that answers 304.
CONDITIONAL: dict[int | str, dict[str, Any]] = {
    200: {"headers": HEADERS},
    304: {"description": "Nothing has changed since the ETag in If-None-Match.", "headers": HEADERS},
}


def digest_of(shown: BaseModel, without: Set[str]) -> str:
    """16 digits of what a representation says, some of its fields aside: a part of a tag."""
    return hashlib.sha256(shown.model_dump_json(exclude=set(without)).encode()).hexdigest()[:16]


def own(tag: str) -> str:
    """The first part of a tag of several, with its quote; of a weak tag still weak, so it matches nothing."""
    return tag.partition(".")[0]


def tag_of(shown: BaseModel) -> str:
    """The entity tag of a representation."""
    return f'"{hashlib.sha256(shown.model_dump_json().encode()).hexdigest()[:32]}"'


def stamped(shown: M, response: Response, tag: str = "") -> M:
    """The answer of a change: the new representation with its tag."""
    response.headers["ETag"] = tag or tag_of(shown)
    return shown


def tagged(shown: M, response: Response, if_none_match: str | None, tag: str = "") -> M | Response:
    """The answer of a GET: the representation with its tag, or 304."""
    tag = tag or tag_of(shown)
    if matches(if_none_match, tag):
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return shown


def require(if_match: str | None, tag: str, part: Callable[[str], str] = str) -> None:
    """Raise `PreconditionFailed` unless the header names `tag` (strong comparison: a weak tag never does) or is `*`.
    `part`: what of a tag is compared."""
    if if_match is None or if_match.strip() == "*":
        return
    if part(tag) in {part(given.strip()) for given in if_match.split(",")}:
        return
    remedy = "GET it, look at what has changed, and send the request again with its ETag if it still makes sense."
    detail = "It is not what the ETag in If-Match stands for: somebody has changed it."
    raise PreconditionFailed(detail, remedy, details={"etag": tag})
