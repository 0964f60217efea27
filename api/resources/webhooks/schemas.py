"""Bodies of /webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, field_validator

from api.http.paging import PageInfo
from api.http.schemas import RequestModel, ResponseModel
from store import signing
from store.repositories.outbox import ALL, TYPES

EventType = Literal[
    "*",
    "job.queued",
    "job.running",
    "job.pausing",
    "job.paused",
    "job.stopping",
    "job.cancelling",
    "job.succeeded",
    "job.failed",
    "job.cancelled",
]
Description = Annotated[str, StringConstraints(max_length=200)]
EXAMPLE_ID = "whk_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"
PAYLOAD: dict[str, Any] = {
    "type": "job.succeeded",
    "timestamp": "2026-01-31T12:00:00.000Z",
    "data": {"job_id": "job_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES", "status": "succeeded", "attempt": 1},
}


class WebhookCreate(RequestModel):
    """Whom to tell, and what of."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    url: str = Field(
        min_length=1, max_length=2000, description="https, public address.", examples=["https://example.org/hook"]
    )
    events: list[EventType] = Field(
        ["job.succeeded", "job.failed", "job.cancelled"],
        min_length=1,
        max_length=len(TYPES) + 1,
        description="Which changes of a job's status; `*`: all.",
        examples=[["job.succeeded", "job.failed"]],
    )
    secret: str | None = Field(
        None,
        max_length=120,
        description="whsec_ and base64 of 24 to 64 random bytes; null: one is made and shown in the answer, once.",
        examples=[None],
    )
    description: Description = Field("", examples=["tells the chat"])

    @field_validator("secret")
    @classmethod
    def _usable(cls, value: str | None) -> str | None:
        if value is not None:
            signing.key_of(value)
        return value


class WebhookOut(ResponseModel):
    """A webhook, without its secret."""

    id: str = Field(examples=[EXAMPLE_ID])
    url: str = Field(examples=["https://example.org/hook"])
    events: list[EventType] = Field(examples=[["job.succeeded", "job.failed"]])
    description: str = Field(examples=["tells the chat"])
    enabled: bool = Field(examples=[True])
    disabled_reason: str | None = Field(examples=[None])
    failing_since: datetime | None = Field(description="No delivery has succeeded since.", examples=[None])
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])


class WebhookCreated(WebhookOut):
    """A new webhook. `secret` is shown this once."""

    secret: str = Field(examples=["whsec_..."])


class WebhookPage(PageInfo):
    """Webhooks, newest first."""

    items: list[WebhookOut]


class TryOut(ResponseModel):
    """One try of a delivery."""

    at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    status_code: int | None = Field(description="Null: there was no answer.", examples=[200])
    error: str | None = Field(examples=[None])
    seconds: float = Field(examples=[0.12])
    answer: str = Field(description="The beginning of the body.", examples=["ok"])


class DeliveryOut(ResponseModel):
    """A message for a webhook, and what became of it."""

    id: str = Field(description="The header webhook-id: the same at every try.", examples=["msg_01KA1N3ZCZ0D6M3X"])
    type: str = Field(examples=["job.succeeded"])
    status: Literal["pending", "delivered", "failed"] = Field(examples=["delivered"])
    payload: dict[str, Any] = Field(examples=[PAYLOAD])
    tries: int = Field(description="Since it was made or sent again.", examples=[1])
    next_try_at: datetime | None = Field(examples=[None])
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    finished_at: datetime | None = Field(examples=["2026-01-31T12:00:01Z"])
    log: list[TryOut] = Field(description="The last tries, oldest first.")


class DeliveryPage(PageInfo):
    """Deliveries, newest first."""

    items: list[DeliveryOut]


assert set(EventType.__args__) == {ALL, *TYPES}  # type: ignore[attr-defined] # a new status must be offered here too
