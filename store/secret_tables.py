"""The table of tenants' credentials for other services."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from store.clock import db_now
from store.table_base import Base, JsonColumn


class Secret(Base):
    """Credentials by a name of the tenant's own. `parts`: the names of its values ("token"); `sealed`: the values,
    which the database never sees (`store.sealing`)."""

    __tablename__ = "secrets"
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    parts: Mapped[list[str]] = mapped_column(JsonColumn)
    sealed: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    updated_at: Mapped[datetime] = mapped_column(insert_default=db_now())
