"""Requests from outside that a run honours at its next step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Control:
    """`stop`: end training now, keep the best student so far and finish the job. `handover`: write a checkpoint and
    leave (`run` ends without `done`), so that another attempt continues bit-identically."""

    stop: bool = False
    handover: bool = False
