"""Bodies of /system, /livez and /readyz."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from api.http.schemas import ResponseModel


class WorkerIsolation(ResponseModel):
    """What holds the trainers of a worker, which load files of strangers."""

    complete: bool = Field(
        description="Whether a trainer can neither read what is not its job's nor speak to the network.",
        examples=[True],
    )
    trainers: str = Field(
        description="The layers that hold it, and what is wrong.", examples=["landlock 7, seccomp, no capabilities"]
    )
    other_user: bool | None = Field(
        None, description="Whether it runs as another user than the worker. Null: the worker has not said.",
        examples=[True],
    )  # fmt: skip
    problems: list[str] = Field(description="Layers that the machine refuses, with the reason.", examples=[[]])


class WorkerOut(ResponseModel):
    """A worker that was heard of lately."""

    id: str = Field(examples=["wrk_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"])
    hostname: str = Field(examples=["gpu-1"])
    slots: int = Field(description="Trainers side by side.", examples=[1])
    info: dict[str, Any] = Field(examples=[{"device": "cpu"}])
    isolation: WorkerIsolation | None = Field(None, description="Null: the worker has not said.")
    started_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    heartbeat_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])


class Storage(ResponseModel):
    """What you keep in the object store, in bytes."""

    used_bytes: int = Field(examples=[131_000_000])
    max_bytes: int | None = Field(description="Your quota; null: none.", examples=[None])
    by_kind: dict[str, int] = Field(
        description="teachers, datasets, uploads (by the size they declare), artifacts, checkpoints.",
        examples=[{"teachers": 87_000_000, "datasets": 40_000_000, "artifacts": 4_000_000}],
    )


class SystemOut(ResponseModel):
    """The service: version, workers, queue."""

    version: str = Field(examples=["0.1.0"])
    mode: Literal["embedded", "full"] = Field(examples=["embedded"])
    workers: list[WorkerOut]
    jobs: dict[str, int] = Field(description="Your jobs by status.", examples=[{"queued": 2, "running": 1}])
    queue_length: int = Field(description="Waiting jobs of all tenants.", examples=[2])
    max_upload_bytes: int = Field(examples=[21474836480])
    storage: Storage
    dataset_references: list[Literal["https", "s3", "hf"]] = Field(
        description="Kinds of URL that datasets may be fetched by.", examples=[["https"]]
    )


class Alive(ResponseModel):
    """The process answers."""

    status: Literal["alive"] = Field("alive", examples=["alive"])


class Ready(ResponseModel):
    """Whether the service can serve. `doorbell` is information: without it work starts at the next sweep."""

    status: Literal["ready", "not_ready"] = Field(examples=["ready"])
    database: str = Field(description="`ok`, or what is wrong.", examples=["ok"])
    objects: str = Field(description="`ok`, or what is wrong.", examples=["ok"])
    doorbell: str = Field(description="`ok`, or what is wrong.", examples=["ok"])
