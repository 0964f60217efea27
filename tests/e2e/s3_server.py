"""The tests' S3 server for the browser's tests: prints where it is as one JSON line, ends with its standard input."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.services.s3 import ACCESS_KEY, SECRET_KEY, running


def main(folder: Path) -> None:
    folder.mkdir(parents=True)
    with running(folder) as server:
        print(json.dumps({"endpoint": server.endpoint, "access": ACCESS_KEY, "secret": SECRET_KEY}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
