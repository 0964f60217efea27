"""What every target is given and what it says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from publishing.bundle import Bundle, BundleMetric, Outline

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


class LiveTarget(Target):
    """A place that is told of a job while it runs. Its module has `LIVE = True`.

    Every method may be called again after an attempt that died within it, and after one whose answer was lost: a row
    that is there is not added again. `publish` then finds what was told and adds the rest.
    """

    @abstractmethod
    def open(self, outline: Outline) -> dict[str, Any]:
        """Begin, or go on with what an earlier attempt of the publication began; the receipt. Rows are not sent."""

    @abstractmethod
    def settle(self, outline: Outline) -> None:
        """The configuration is what the run made of it."""

    @abstractmethod
    def log(self, rows: Sequence[BundleMetric]) -> None:
        """Add what is not there of these rows. Before it, `open`."""

    @abstractmethod
    def end(self, status: Literal["failed", "cancelled"]) -> dict[str, Any]:
        """The job has ended without a student; the receipt. Before it, `open`."""
