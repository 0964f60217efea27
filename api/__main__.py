"""`python -m api`: the HTTP API alone, for the full stack. The database must have been migrated."""

from __future__ import annotations

import sys

import uvicorn

from api.app import create_app
from store import logs, tracing
from store.settings import read_settings


def main() -> None:
    settings = read_settings()
    if settings.embedded:
        sys.exit("RETORT_REDIS_URL is not set: no worker would hear of a job. `retort serve` runs API and worker here.")
    logs.install(settings)
    tracing.start(settings, "retort-api")
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
