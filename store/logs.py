"""Log lines as text or JSON, with the ids of what is being done: request, job, attempt, worker."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from store.settings import Settings

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
#: Libraries that say at INFO what nobody asked for.
TALKATIVE = ("alembic", "httpx", "httpcore", "uvicorn.access")
_NONE: dict[str, Any] = {}
_bound: ContextVar[dict[str, Any]] = ContextVar("retort_log_ids", default=_NONE)


@contextmanager
def bound(**ids: Any) -> Iterator[None]:
    """Every line of the block carries these ids; those that are None are left out. A new thread starts without: give it
    `contextvars.copy_context().run`."""
    token = _bound.set(_bound.get() | {name: value for name, value in ids.items() if value is not None})
    try:
        yield
    finally:
        _bound.reset(token)


def ids() -> dict[str, Any]:
    """Those that are bound now."""
    return _bound.get()


class JsonFormatter(logging.Formatter):
    """One object a line: `time`, `level`, `logger`, `message`, `exception` where there is one, and the bound ids."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": at, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        line |= _bound.get()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def install(settings: Settings) -> None:
    """The root logger as the settings say. For programs, not for tests or libraries."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else logging.Formatter(TEXT))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
