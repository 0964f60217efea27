"""How long a job may run: at the limit it stops and keeps its best student, and fails when that does not work.

What counts is the time under lease, of all attempts together; waiting and pausing cost nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

from store.repositories.leases import Ending
from store.settings import Settings
from worker.errors import MaxRuntimeExceeded

#: Phases after the first step of training: there is a student to keep.
TRAINED = frozenset({"distilling", "evaluating", "packaging"})
Verdict = Literal["goes_on", "stop", "fail"]


@dataclass
class Runtime:
    """`limit_seconds` 0: none. `used_seconds`: by earlier attempts; this one began when the object was made."""

    limit_seconds: float
    grace_seconds: float
    used_seconds: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, settings: Settings, own_limit: int | None, used_seconds: float) -> Runtime:
        """The smaller of the job's limit and the service's."""
        limits = [limit for limit in (own_limit, settings.max_runtime_seconds) if limit]
        return cls(min(limits, default=0), settings.runtime_grace_seconds, used_seconds)

    def verdict(self, phase: str) -> Verdict:
        """What is to be done now, in this phase of the run."""
        over = self.used_seconds + time.monotonic() - self.started - self.limit_seconds
        if not self.limit_seconds or over < 0:
            return "goes_on"
        return "stop" if phase in TRAINED and over < self.grace_seconds else "fail"

    def failure(self, phase: str) -> Ending:
        why = f"The job has run for its {self.limit_seconds:g} s and was still {phase}"
        rest = f", and for the {self.grace_seconds:g} s that it had to finish." if phase in TRAINED else "."
        remedy = "Submit it again with a higher max_runtime_seconds, fewer epochs or fewer quality_samples."
        details = {"max_runtime_seconds": self.limit_seconds, "phase": phase}
        return Ending("failed", "failed", MaxRuntimeExceeded(why + rest, remedy, details).to_dict())
