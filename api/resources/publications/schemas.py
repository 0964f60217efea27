"""Bodies of /jobs/{id}/publish and /jobs/{id}/publications."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from api.http.schemas import RequestModel, ResponseModel
from api.resources.artifacts.schemas import ArtifactOut
from api.resources.jobs.schemas import JobWarning
from publishing.request import PublicationRequest
from store.states import Status

EXAMPLES: list[Any] = [
    {"target": "huggingface", "parameters": {"repository": "me/student"}, "secret": "hub"},
    {"target": "mlflow", "parameters": {"tracking_uri": "https://mlflow.example.org", "model": "birds"}},
    {"target": "tensorboard"},
]


class PublicationCreate(PublicationRequest, RequestModel):
    """Where a finished job's student is to be handed over."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": EXAMPLES, "additionalProperties": True}
    )
    again: bool = Field(
        False,
        description="Whether to publish though the same was asked for before; else the earlier publication is the "
        "answer, unless it failed or was cancelled.",
        examples=[False],
    )


class PublicationOut(ResponseModel):
    """A publication: a small job of its own."""

    id: str = Field(examples=["job_01KA1N3ZCZ0D6M3XBMNKJ0Q2EX"])
    job: str = Field(description="The job whose student it is.", examples=["job_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"])
    target: str = Field(examples=["huggingface"])
    parameters: dict[str, Any] = Field(examples=[{"repository": "me/student"}])
    secret: str | None = Field(description="Name of the secret.", examples=["hub"])
    status: Status = Field(examples=["succeeded"])
    attempt: int = Field(description="How often it was tried.", examples=[1])
    error: dict[str, Any] | None = Field(
        description="{code, message, remedy, fault, retryable, details}: target_unavailable, credentials_refused, "
        "target_forbidden, target_refused, credentials_missing, secret_unreadable, url_refused, input_gone, "
        "job_not_succeeded.",
        examples=[None],
    )
    warnings: list[JobWarning] = Field(
        description="`target_unavailable`, while it follows a job that runs: the target does not answer since "
        "`details.since`, and did again at `details.until`."
    )
    receipt: dict[str, Any] | None = Field(
        description="What the target calls the result: commit, run, version, url.",
        examples=[{"repository": "me/student", "commit": "9f1c...", "url": "https://huggingface.co/me/student"}],
    )
    files: list[ArtifactOut] = Field(description="Files that it made here.")
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    finished_at: datetime | None = Field(examples=["2026-01-31T12:01:00Z"])
    links: dict[str, str] = Field(
        description="`self`; `job`, where it is cancelled, retried and deleted; `events`, as a job's.",
        examples=[{"self": "/jobs/job_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES/publications/job_01KA1N3ZCZ0D6M3XBMNKJ0Q2EX"}],
    )


class PublicationList(ResponseModel):
    """All publications of a job's student, oldest first."""

    items: list[PublicationOut]
