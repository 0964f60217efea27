"""Bodies of /tenants."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from api.http.paging import PageInfo
from api.http.schemas import RequestModel, ResponseModel

Jobs = Annotated[int, Field(ge=0, le=2**31 - 1)]
Bytes = Annotated[int, Field(ge=0, le=2**62)]


class Quotas(RequestModel):
    """A tenant's own limits. Null: those of the settings; 0: none."""

    model_config = ConfigDict(strict=True)  # as the schema says: 0 is no boolean, and false no number

    running_jobs: Jobs | None = Field(None, description="Jobs that run side by side; more wait.", examples=[2])
    queued_jobs: Jobs | None = Field(None, description="Jobs that wait; one more is a 429.", examples=[100])
    stored_bytes: Bytes | None = Field(None, description="Bytes kept; more is a 403.", examples=[10**12])


class Limits(ResponseModel):
    """The limits that hold, or what is used of them. As a limit 0 is none."""

    running_jobs: int = Field(examples=[2])
    queued_jobs: int = Field(examples=[100])
    stored_bytes: int = Field(examples=[10**12])


class TenantOut(ResponseModel):
    """A tenant, its limits and what it uses of them."""

    id: str = Field(examples=["tnt_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"])
    name: str = Field(examples=["vision"])
    limits: Limits
    used: Limits
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])


class TenantPage(PageInfo):
    """Tenants, newest first."""

    items: list[TenantOut]
