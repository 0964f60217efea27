"""What a check finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `remedy` is empty where nothing is to be done."""

    name: str
    status: Status
    message: str
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def ok(name: str, message: str) -> Finding:
    return Finding(name, "ok", message)


def warn(name: str, message: str, remedy: str) -> Finding:
    return Finding(name, "warn", message, remedy)


def fail(name: str, message: str, remedy: str) -> Finding:
    return Finding(name, "fail", message, remedy)
