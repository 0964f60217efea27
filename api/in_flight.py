"""Which `Idempotency-Key`s this process is answering now."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class InFlight:
    """Nothing of it outlives the process, so no crash can leave a key in flight for ever. Safe between threads."""

    def __init__(self) -> None:
        self._held: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, tenant_id: str, key: str) -> Iterator[bool]:
        """Whether the key is the block's; False while another request has it."""
        name = (tenant_id, key)
        with self._lock:
            free = name not in self._held
            self._held.add(name)
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._held.discard(name)
