"""Rate limits: a token bucket a key, in this process (several API processes allow as many times more)."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

MOST_BUCKETS = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Limiter:
    """Each bucket holds `burst` tokens and gains `per_second`; a request takes one. 0 a second: no limit."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second, self._burst = per_second, burst
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def take(self, key: str, now: float | None = None) -> float:
        """0 when the request may go on, else the seconds until it may."""
        if not self._per_second:
            return 0.0
        now = time.monotonic() if now is None else now
        with self._lock:
            bucket = self._buckets.get(key) or self._new(key, now)
            gained = (now - bucket.at) * self._per_second
            bucket.tokens, bucket.at = min(self._burst, bucket.tokens + gained), now
            if bucket.tokens < 1:
                return (1 - bucket.tokens) / self._per_second
            bucket.tokens -= 1
            return 0.0

    def _new(self, key: str, now: float) -> _Bucket:
        if len(self._buckets) >= MOST_BUCKETS:  # those full again are as good as none
            full = self._burst / self._per_second
            self._buckets = {name: b for name, b in self._buckets.items() if now - b.at < full}
        self._buckets[key] = _Bucket(self._burst, now)
        return self._buckets[key]
