"""How long one attempt to publish may take."""

from __future__ import annotations

from dataclasses import dataclass

from publishing.errors import TargetUnavailable
from store.repositories.leases import Ending
from worker.jobs import endings
from worker.jobs.limits import Runtime


@dataclass
class PublishTime(Runtime):
    """A target that takes longer is tried again, after `back_off_seconds`: what was sent is found there."""

    back_off_seconds: float = 0.0

    def failure(self, phase: str) -> Ending:
        why = f"The target did not take the files within {self.limit_seconds:g} s."
        remedy = "Retry, or have the operator raise RETORT_PUBLISH_SECONDS."
        return endings.failed(TargetUnavailable(why, remedy).to_dict(), self.back_off_seconds)
