"""`python -m store.joining ADDRESS`: the settings of a worker on another machine, which reaches this one by ADDRESS.

    docker compose exec -T api python -m store.joining 10.0.0.5 > worker.env

Database, Redis and S3 are those of this service; where they go by a name that only compose's network knows (one without
a dot), ADDRESS stands in for it. The output holds their secrets.
"""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

from store.settings import Settings, read_settings


def worker_settings(settings: Settings, address: str) -> dict[str, str]:
    """By variable. Names with a dot and IP addresses are reachable from elsewhere already."""
    return {
        "RETORT_DATABASE_URL": _reached(settings.resolved_database_url, address),
        "RETORT_REDIS_URL": _reached(settings.redis_url, address),
        "RETORT_S3_ENDPOINT": _reached(settings.s3_endpoint, address),
        "RETORT_S3_BUCKET": settings.s3_bucket,
        "RETORT_S3_REGION": settings.s3_region,
        "RETORT_S3_ACCESS_KEY": settings.s3_access_key,
        "RETORT_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
        "RETORT_SECRETS_KEY": settings.secrets_key.get_secret_value(),
    }


def _reached(url: str, address: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host or "." in host or ":" in host:
        return url
    login, at, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{login}{at}{address}{place[len(host) :]}").geturl()


def main() -> None:
    settings = read_settings()
    if settings.embedded or not settings.s3_endpoint:
        sys.exit("This service keeps its data on this machine alone. Workers elsewhere need Postgres, Redis and S3.")
    if len(sys.argv) != 2:
        sys.exit("Say by which address the other machine reaches this one: python -m store.joining 10.0.0.5")
    for name, value in worker_settings(settings, sys.argv[1]).items():
        sys.stdout.write(f"{name}={value}\n")


if __name__ == "__main__":
    main()
