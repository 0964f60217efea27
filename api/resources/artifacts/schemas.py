"""Bodies of /jobs/{id}/artifacts."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from api.http.schemas import ResponseModel


class ArtifactOut(ResponseModel):
    """A file that the job made, verified in the store by size and sha256."""

    name: str = Field(examples=["student.safetensors"])
    media_type: str = Field(examples=["application/octet-stream"])
    size_bytes: int = Field(examples=[312_000])
    sha256: str = Field(examples=["0" * 64])
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    href: str = Field(examples=["/jobs/job_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES/artifacts/student.safetensors"])


class ArtifactList(ResponseModel):
    """All files of the job, by name."""

    items: list[ArtifactOut]
