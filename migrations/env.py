"""Alembic's entry: online migrations of `store.tables` on the URL that the caller set, or the settings'."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from alembic import context
from sqlalchemy import create_engine, pool

from store.clock import UTCDateTime
from store.file_lock import held
from store.settings import Settings
from store.tables import Base, JsonColumn


def render_item(kind: str, item: Any, autogen_context: Any) -> str | Literal[False]:
    """Write our column types as plain ones, so that an old migration never depends on today's code."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, type(JsonColumn)):
        autogen_context.imports.add("from sqlalchemy.dialects.postgresql import JSONB")
        return 'sa.JSON().with_variant(JSONB(), "postgresql")'
    return False


@contextmanager
def alone(url: str) -> Iterator[None]:
    """Of SQLite, whose DDL commits by itself: a lock in a file beside the database, which is not removed."""
    path = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else ""
    if path in {"", ":memory:"}:
        yield
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with held(Path(f"{path}.lock")):
        yield


config = context.config
url = config.get_main_option("sqlalchemy.url") or Settings().resolved_database_url
engine = create_engine(url, poolclass=pool.NullPool)
with alone(url), engine.connect() as connection:
    if connection.dialect.name == "postgresql":
        # Several starting processes migrate one after the other, as `alone` has it for SQLite.
        connection.exec_driver_sql("SELECT pg_advisory_lock(7237817)")
        connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()
