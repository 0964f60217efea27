"""What every group of calls is made with: one transport, documents and pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from client.transport import Transport


class Calls:
    """Calls over one transport."""

    _transport: Transport

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at a path. Raises `ProblemError`, `Unreachable`."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._transport.request("GET", path, params=given).json()

    def _pages(self, path: str, **query: Any) -> Iterator[Any]:
        cursor: str | None = None
        while True:
            page = self.get(path, cursor=cursor, **query)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        return self._transport.request("POST", path, json=body, headers=dict(headers or {})).json()
