"""What a run warns of before it costs hours: it goes on, and nobody overlooks it. Torch-free."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class RunWarning:
    """`code`: stable, one warning of a kind in a run, and of each of several teachers (`details["teacher"]`). `remedy`:
    what to change. `details`: JSON."""

    code: str
    message: str
    remedy: str
    details: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}"


def named(found: RunWarning, label: str) -> RunWarning:
    """The warning with the name of the one among several teachers that it is of; unchanged without a name."""
    if not label:
        return found
    return replace(found, message=f"{label}: {found.message}", details=found.details | {"teacher": label})
