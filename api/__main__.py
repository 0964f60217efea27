"""`python -m api`: the HTTP API alone, for the full stack. The database must have been migrated."""

from __future__ import annotations

import sys

import uvicorn

from api.app import create_app
from store.settings import read_settings


def main() -> None:
    settings = read_settings()
    if settings.embedded:
        sys.exit("RETORT_REDIS_URL is not set: no worker would hear of a job. `retort serve` runs API and worker here.")
    uvicorn.run(
        create_app(settings), host=settings.host, port=settings.port, log_level=settings.log_level.lower(),
        access_log=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
