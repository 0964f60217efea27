"""Bodies of /uploads."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from api.http.paging import PageInfo
from api.http.schemas import RequestModel, ResponseModel

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Purpose = Literal["teacher", "dataset"]
Status = Literal["open", "completing", "complete", "failed", "used"]
_ID = "upl_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"


class UploadCreate(RequestModel):
    """What will be sent."""

    model_config = ConfigDict(strict=True)  # as the schema says: 0 is no boolean, and false no number

    filename: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        examples=["resnet152.safetensors"]
    )
    size_bytes: int = Field(gt=0, le=2**62, examples=[241_000_000])
    sha256: Sha256 | None = Field(
        None, description="In hex. When given, the bytes that arrived must have it.", examples=["0" * 64]
    )
    purpose: Purpose = Field(description="What it will be registered as.", examples=["teacher"])
    direct: bool = Field(
        True, description="False: send parts through the API even where the store could take them itself."
    )


class UploadOut(ResponseModel):
    """An upload. Send its parts, then POST its /complete, then register it by its id."""

    id: str = Field(examples=[_ID])
    status: Status = Field(examples=["open"])
    purpose: Purpose = Field(examples=["teacher"])
    filename: str = Field(examples=["resnet152.safetensors"])
    size_bytes: int = Field(examples=[241_000_000])
    part_bytes: int = Field(description="Size of every part but the last.", examples=[16_777_216])
    parts: int = Field(description="How many parts it has.", examples=[15])
    direct: bool = Field(description="Whether parts go to the object store itself.", examples=[True])
    sha256: str | None = Field(
        description="Of the stored bytes once complete; before, what was declared.", examples=["0" * 64]
    )
    error: dict[str, Any] | None = Field(description="Why it failed.", examples=[None])
    resource: str | None = Field(description="The teacher or dataset that it became.", examples=[None])
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    expires_at: datetime = Field(
        description="When it is removed unless it is used; moves on with every part.", examples=["2026-02-01T12:00:00Z"]
    )


class UploadPage(PageInfo):
    """Uploads, newest first."""

    items: list[UploadOut]


class PartOut(ResponseModel):
    """One part: PUT bytes [offset, offset + size_bytes) of the file to `url`."""

    number: int = Field(examples=[1])
    offset: int = Field(examples=[0])
    size_bytes: int = Field(examples=[16_777_216])
    received: bool = Field(description="Whether it has arrived whole.", examples=[False])
    url: str | None = Field(
        description="Where to PUT it, without a key where it is absolute; null once the upload is no longer open, and "
        "for a key that may only read.",
        examples=[f"/uploads/{_ID}/parts/1"],
    )
    expires_at: datetime | None = Field(
        description="When an absolute `url` ends; ask for the parts again then.", examples=[None]
    )


class PartPage(PageInfo):
    """Parts by number."""

    items: list[PartOut]
