"""Bodies of /jobs/{id}/events, /metrics, /logs, /attempts and /checkpoints."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from api.http.paging import PageInfo
from api.http.schemas import ResponseModel


class EventOut(ResponseModel):
    """One event; `seq` counts from 1 without gaps and is the SSE id."""

    seq: int = Field(examples=[1])
    kind: str = Field(
        description="status, phase, resolved, choice, layers, layer_quality, selection, metrics, checkpoint, artifact, "
        "warning, result.",
        examples=["status"],
    )
    data: dict[str, Any] = Field(examples=[{"status": "queued"}])
    attempt: int = Field(examples=[0])
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])


class EventPage(PageInfo):
    """Events, oldest first."""

    items: list[EventOut]


class MetricOut(ResponseModel):
    """The metrics of one step of one split."""

    step: int = Field(examples=[100])
    epoch: float = Field(examples=[1.5])
    split: str = Field(description="train, validation or test.", examples=["train"])
    values: dict[str, Any] = Field(examples=[{"loss": 0.5}])


class MetricPage(PageInfo):
    """Metrics by step."""

    items: list[MetricOut]


class LogOut(ResponseModel):
    """One line that the trainer wrote."""

    attempt: int = Field(examples=[1])
    level: str = Field(examples=["info"])
    message: str = Field(examples=["epoch 1 of 10"])
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])


class LogPage(PageInfo):
    """Log lines, oldest first."""

    follow: str = Field(description="Pass it as `after` for what is written from now on.", examples=["NDI"])
    items: list[LogOut]


class AttemptOut(ResponseModel):
    """One claim of the job by a worker."""

    number: int = Field(examples=[1])
    worker_id: str = Field(examples=["wrk_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"])
    started_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    finished_at: datetime | None = Field(examples=["2026-01-31T12:05:00Z"])
    outcome: str | None = Field(
        description="succeeded, failed, cancelled, paused, handed_over, worker_lost; null: still going on.",
        examples=["succeeded"],
    )
    error: dict[str, Any] | None = Field(examples=[None])
    exit_code: int | None = Field(examples=[0])
    peak_memory_bytes: int | None = Field(
        description="Largest so far; of the trainer and all that it has started.", examples=[900_000_000]
    )


class AttemptList(ResponseModel):
    """All attempts, first to last."""

    items: list[AttemptOut]


class CheckpointOut(ResponseModel):
    """A training state from which a new attempt continues."""

    step: int = Field(examples=[500])
    epoch: float = Field(examples=[2.5])
    attempt: int = Field(examples=[1])
    size_bytes: int = Field(examples=[1_000_000])
    sha256: str = Field(examples=["0" * 64])
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])


class CheckpointList(ResponseModel):
    """Checkpoints, newest first."""

    items: list[CheckpointOut]
