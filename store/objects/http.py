"""How the S3 server is called: bounded waits, and what is tried again."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import urllib3
from urllib3.exceptions import ReadTimeoutError

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
TRIES_AGAIN = 3


def connections(answer_seconds: float) -> urllib3.PoolManager:
    """Connections on which the next byte of an answer is awaited for `answer_seconds` at most, once: a server that is
    silent for so long is silent the second time too. Broken connections and 5xx are tried again."""
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=min(CONNECT_SECONDS, answer_seconds), read=answer_seconds),
        maxsize=16,
        retries=_Unsilent(total=TRIES_AGAIN, backoff_factor=0.3, status_forcelist=(500, 502, 503, 504)),
    )


class _Unsilent(urllib3.Retry):
    """Tries again whatever was answered or broken off, not what was never answered."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: urllib3.BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        if isinstance(error, ReadTimeoutError):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)
