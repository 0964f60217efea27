"""Requests to finished students, for the seconds that they take (docs/decisions/0023)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from store.clock import db_now
from store.table_base import Base, Json

PredictionStatus = Literal["waiting", "held", "answered"]


class Prediction(Base):
    """A request on its way between API and worker. Whoever asked removes it with its answer; what nobody removed goes
    at `expires_at`. `request`: options, texts, and the sizes of the pictures, which stand in `pictures` one after the
    other until a worker takes them. `said`: {messages: [...]}, of which `version` counts the changes."""

    __tablename__ = "predictions"
    __table_args__ = (
        CheckConstraint("status IN ('waiting', 'held', 'answered')", name="status"),
        Index("ix_predictions_waiting", "status", "job_id", "created_at"),
    )
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    status: Mapped[str] = mapped_column(String(20), default="waiting")
    request: Mapped[Json]
    pictures: Mapped[bytes | None] = mapped_column(LargeBinary)
    said: Mapped[Json | None]
    version: Mapped[int] = mapped_column(default=0)
    worker_id: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    expires_at: Mapped[datetime]
