"""Bodies of /jobs/{id}/exports."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from api.http.schemas import RequestModel, ResponseModel
from api.resources.artifacts.schemas import ArtifactOut
from distill.types import ExportRequest
from store.states import Status

EXAMPLES: list[Any] = [
    {"format": "onnx"},
    {"format": "onnx-int8", "parameters": {"calibration_samples": 1024}, "max_drop": 0.005},
]


class ExportCreate(ExportRequest, RequestModel):
    """A format in which a finished job's student is wanted."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": EXAMPLES})


class ExportOut(ResponseModel):
    """An export: a small job of its own, or one that the student's own run made."""

    id: str = Field(examples=["job_01KA1N3ZCZ0D6M3XBMNKJ0Q2EX"])
    job: str = Field(description="The job whose student it is.", examples=["job_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"])
    format: str = Field(examples=["onnx"])
    parameters: dict[str, Any] = Field(examples=[{"pixels": True}])
    max_drop: float | None = Field(examples=[0.01])
    status: Status = Field(examples=["succeeded"])
    error: dict[str, Any] | None = Field(
        description="{code, message, remedy, fault, retryable, details}.", examples=[None]
    )
    exceeds_max_drop: bool = Field(
        description="Whether the file loses more of the primary metric than max_drop: it is kept, and marked.",
        examples=[False],
    )
    result: dict[str, Any] | None = Field(
        description="What exports.json says of it: files with sha256, runtime, input, the task's primary metric with "
        "its interval, the difference from torch's student, agreement, the largest difference of an output, latency "
        "at batch 1 and 32, and a program that runs it.",
        examples=[{"format": "onnx", "figure": {"value": 0.91, "low": 0.9, "high": 0.92, "n": 10000}, "drop": 0.0}],
    )
    torch: dict[str, Any] | None = Field(
        description="The same figures of the student in torch.",
        examples=[{"figure": {"value": 0.91, "low": 0.9, "high": 0.92, "n": 10000}, "bytes": 312000}],
    )
    files: list[ArtifactOut]
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    finished_at: datetime | None = Field(examples=["2026-01-31T12:01:00Z"])
    links: dict[str, str] = Field(
        description="`self`; of an export that is a job of its own `job`, where it is cancelled, retried and deleted.",
        examples=[{"self": "/jobs/job_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES/exports/job_01KA1N3ZCZ0D6M3XBMNKJ0Q2EX"}],
    )


class ExportList(ResponseModel):
    """All exports of a job's student, oldest first."""

    items: list[ExportOut]
