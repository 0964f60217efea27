"""Parts of datasets of shards: each is read by one worker, until the dataset has its verdict."""

from __future__ import annotations

from typing import Any, Literal, get_args

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from store.table_base import Base, Json, JsonColumn, Leasable

PartStatus = Literal["waiting", "read", "failed"]
PART_STATUSES: tuple[PartStatus, ...] = get_args(PartStatus)


class DatasetPart(Leasable, Base):
    """Shards `first` to `end` - 1 of a dataset. `status`: waiting (also while its holder reads it) -> read | failed.
    `file`: {object_key, size_bytes, sha256} of what was read, up to the problem where one was met. `entries`: url, size
    and sha256 of every shard, as the worker found it. `error`: RetortError.to_dict()."""

    __tablename__ = "dataset_parts"
    __table_args__ = (
        CheckConstraint("status IN ({})".format(", ".join(f"'{s}'" for s in PART_STATUSES)), name="status"),
        Index("ix_dataset_parts_queue", "status", "dataset_id", "number"),
    )
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first: Mapped[int]
    end: Mapped[int]
    status: Mapped[str] = mapped_column(String(20), default="waiting")
    shards_read: Mapped[int] = mapped_column(default=0)
    bytes_read: Mapped[int] = mapped_column(BigInteger, default=0)
    file: Mapped[Json | None]
    entries: Mapped[list[Any] | None] = mapped_column(JsonColumn)
    error: Mapped[Json | None]
