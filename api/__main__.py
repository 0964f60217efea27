"""`python -m api`: the HTTP API alone, for the full stack. The database must have been migrated."""

from __future__ import annotations

import sys

import uvicorn

from api.app import create_app
from api.serving import configured
from store import logs, tracing
from store.settings import read_settings


def main() -> None:
    settings = read_settings()
    if settings.embedded:
        sys.exit("RETORT_REDIS_URL is not set: no worker would hear of a job. `retort serve` runs API and worker here.")
    logs.install(settings)
    tracing.start(settings, "retort-api")
    server = uvicorn.Server(configured(create_app(settings), settings.host, settings.port))
    server.run()
    if not server.started:
        sys.exit(3)  # the log says why


if __name__ == "__main__":
    main()
