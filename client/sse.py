"""Server-sent events, read from lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from client.types import Event


def messages(lines: Iterable[str]) -> Iterator[Event]:
    """The messages of a stream; comments (heartbeats) are left out, and so is a message that is cut off."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value
        elif "data" in fields:
            yield _event(fields)
            fields = {}


def _event(fields: dict[str, str]) -> Event:
    content: Any = json.loads(fields["data"])
    kind = fields.get("event", "message")
    if "id" not in fields:
        return Event(seq=None, kind=kind, data=content)
    return Event(seq=int(fields["id"]), kind=kind, data=content["data"])
