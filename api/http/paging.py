"""Opaque keyset cursors."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from api.errors.problems import FieldError, Unprocessable

_POSITION = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
CursorText = Annotated[str | None, Query(max_length=300, description="`next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Entries of one page, at most.")]


class PageInfo(BaseModel):
    """Where the list goes on."""

    next_cursor: str | None = Field(
        None, description="Pass it as `cursor` for the next page; null on the last.", examples=[None]
    )


def encode(position: str | int) -> str:
    return base64.urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def decode(cursor: str, name: str = "cursor") -> str:
    """The position behind a cursor. Raises `Unprocessable` for one that we never made."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise _invalid(name) from error
    if not _POSITION.fullmatch(text):
        raise _invalid(name)
    return text


async def _position(cursor: CursorText = None) -> str | None:
    return decode(cursor) if cursor else None


async def _number(cursor: CursorText = None) -> int:
    return number(cursor)


def number(cursor: str | None, name: str = "cursor") -> int:
    """The position of a numbered list; 0 without a cursor. Raises `Unprocessable`."""
    if not cursor:
        return 0
    text = decode(cursor, name)
    if not text.isdecimal() or len(text) > 15:
        raise _invalid(name)
    return int(text)


Cursor = Annotated[str | None, Depends(_position)]
NumberCursor = Annotated[int, Depends(_number)]


def _invalid(name: str) -> Unprocessable:
    error = FieldError(pointer=f"/{name}", message="not a cursor of this service", **{"in": "query"})
    return Unprocessable("The cursor is not one that this service made.", "Leave it out to start over.", errors=[error])
