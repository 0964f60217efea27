"""`python -m api.health [PATH]`: exit status 0 when the API of this container answers 200 to GET /livez (or PATH).

For health checks where there is no curl. Only the standard library, so that asking costs a few milliseconds.
"""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPException

SECONDS = 8.0


def complaint(port: int, path: str) -> str | None:
    """What is wrong, or None."""
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return None if answer.status == 200 else f"{path} answers {answer.status}: {answer.read(500).decode('latin-1')}"
    except (OSError, HTTPException) as error:
        return f"{path} does not answer: {error}"
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(complaint(int(os.environ.get("RETORT_PORT") or 8000), sys.argv[1] if len(sys.argv) > 1 else "/livez"))
