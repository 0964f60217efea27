"""Bodies of /api-keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from api.http.auth import Scope
from api.http.paging import PageInfo
from api.http.schemas import RequestModel, ResponseModel

TEN_YEARS = 10 * 366 * 86400
KeyName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class KeyCreate(RequestModel):
    """A key to make."""

    model_config = ConfigDict(strict=True)  # as the schema says: 0 is no boolean, and false no number

    name: KeyName = Field(description="Yours, to know it by.", examples=["training scripts"])
    scopes: list[Scope] = Field(
        ["read", "write"],
        min_length=1,
        max_length=4,
        description="`read`: GET and HEAD. `write`: everything else too, but keys. `admin`: keys too. "
        "`metrics`: /metrics alone.",
        examples=[["read", "write"]],
    )
    expires_in_seconds: int | None = Field(
        None, ge=60, le=TEN_YEARS, description="How long it is good for; null: until it is revoked.", examples=[2592000]
    )
    tenant: KeyName | None = Field(
        None,
        description="For the operator: the tenant's name; a new one is made. Null: your own tenant.",
        examples=[None],
    )


class KeyOut(ResponseModel):
    """A key, but not the key itself: only its sha256 is kept."""

    id: str = Field(examples=["key_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"])
    name: str = Field(examples=["training scripts"])
    tenant: str = Field(description="The tenant's id.", examples=["tnt_default"])
    scopes: list[Scope] = Field(examples=[["read", "write"]])
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    expires_at: datetime | None = Field(examples=["2026-03-02T12:00:00Z"])
    last_used_at: datetime | None = Field(description="To the minute.", examples=["2026-01-31T13:00:00Z"])


class KeyCreated(KeyOut):
    """A new key. `key` is shown this once."""

    key: str = Field(examples=["rtk_..."])


class KeyPage(PageInfo):
    """Keys, newest first."""

    items: list[KeyOut]
