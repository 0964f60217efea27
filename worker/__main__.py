"""`python -m worker`: the Celery worker with what it must be started with. Needs RETORT_REDIS_URL."""

from __future__ import annotations

import sys

from store.settings import read_settings
from worker.isolation import root


def main() -> None:
    root.leave()
    settings = read_settings()
    if settings.embedded:
        sys.exit("RETORT_REDIS_URL is not set: this worker serves the full stack. `retort serve` needs no worker.")
    from worker.app import app

    options = ["--pool", "threads", "--concurrency", "1", "--loglevel", settings.log_level, "--without-gossip"]
    app.worker_main(["worker", *options, "--without-mingle", *sys.argv[1:]])


if __name__ == "__main__":
    main()
