"""Make the secrets of docker-compose.yml: random, once, each in a file that only its one reader can read.

    python make_secrets.py FOLDER     runs as root in the service `secrets`; what is there is kept

Only the standard library. A file's owner is the user that its reader runs as; see docs/decisions/0012.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

RETORT, POSTGRES, SEAWEEDFS, REDIS = 10001, 999, 1000, 10002
S3_ACCESS_KEY = "retort"
S3_ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]


def main(folder: Path) -> None:
    folder.chmod(0o711)  # anybody may open a file whose name is known; nobody but root may list or add
    database, redis, s3 = (_kept(folder, name) for name in ("database", "redis", "s3"))
    _offer(folder / "postgres_password", POSTGRES, lambda: database)
    _offer(folder / "redis.conf", REDIS, lambda: f"requirepass {redis}")
    _offer(folder / "redis_password", REDIS, lambda: redis)
    _offer(folder / "s3.json", SEAWEEDFS, lambda: _identity(s3))
    _offer(folder / "database_url", RETORT, lambda: f"postgresql+psycopg://retort:{database}@postgres:5432/retort")
    _offer(folder / "redis_url", RETORT, lambda: f"redis://:{redis}@redis:6379/0")
    _offer(folder / "s3_secret_key", RETORT, lambda: s3)
    _offer(folder / "secrets_key", RETORT, lambda: base64.b64encode(secrets.token_bytes(32)).decode())
    made = _offer(folder / "api_key", RETORT, lambda: f"rtk_{secrets.token_urlsafe(32)}")
    print("New random secrets are in the volume `secrets`." if made else "The secrets are there already.")  # noqa: T201
    print("The key that the dashboard asks for:  docker compose exec api cat /run/retort/api_key")  # noqa: T201


def _kept(folder: Path, name: str) -> str:
    """The secret itself, for root alone: from it any other file can be made again."""
    path = folder / f"{name}.secret"
    _offer(path, 0, lambda: secrets.token_urlsafe(32))
    return path.read_text().strip()


def _offer(path: Path, owner: int, content: Callable[[], str]) -> bool:
    """Make the file, whole or not at all, unless it is there. True if it was made."""
    if path.exists():
        return False
    partial = path.with_name(f".{path.name}.new")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as file:
        file.write(content() + "\n")
        file.flush()
        os.fsync(file.fileno())
    if os.geteuid() == 0:
        os.chown(partial, owner, owner)
    partial.rename(path)
    return True


def _identity(secret_key: str) -> str:
    credentials = [{"accessKey": S3_ACCESS_KEY, "secretKey": secret_key}]
    identity = {"name": "retort", "credentials": credentials, "actions": S3_ACTIONS}
    return json.dumps({"identities": [identity]})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
