"""What every target is given and what it says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from publishing.bundle import Bundle

Say = Callable[[str], None]
"""A line of the publication's log."""


@dataclass(frozen=True)
class Delivered:
    """What came of it. `receipt`: what the target calls the result (commit, run, version), and its `url`; the same when
    the same is sent again. `files`: written here, to be kept as artifacts: name -> media type."""

    receipt: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)


class Target(ABC):
    """One place. Sending the same bundle again, after a crash or on purpose, adds nothing there that is there."""

    libraries: ClassVar[tuple[str, ...]] = ()
    """Loggers that say at INFO what nobody asked for."""

    def __init__(self, parameters: Mapping[str, Any], credentials: Mapping[str, str]) -> None:
        """`parameters`: checked, with every default filled in."""
        self.parameters, self.credentials = dict(parameters), dict(credentials)

    @abstractmethod
    def publish(self, bundle: Bundle, say: Say) -> Delivered:
        """Send it. Raises the errors of `publishing.errors`; any other that tells of a connection counts as
        `TargetUnavailable`."""
