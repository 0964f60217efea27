"""The teacher's targets of a run: read from a cache that is filled before the first step, or computed each batch."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from distill.control import Control
from distill.training import cache, distributed
from distill.training.data import Source
from distill.training.meter import METRICS_SECONDS
from distill.types import Event

Asked = Literal["handover", "stop"] | None


@dataclass
class Targets:
    """Looks targets up in the cache, or asks the teacher: `rounded` as the cache would. `leave`: a hand-over was asked
    for while the cache was filled."""

    teacher: cache.Teacher
    store: cache.Cache | None = None
    rounded: bool = False
    leave: bool = False

    def __call__(self, batch: Any) -> dict[str, Tensor]:
        return self.teacher.recipe.told(self._taught(batch), batch.index)

    def _taught(self, batch: Any) -> dict[str, Tensor]:
        if self.store:
            return self.store.get(batch)
        targets = self.teacher(batch.teacher)
        return cache.rounded(targets) if self.rounded else targets

    def close(self) -> None:
        if self.store:
            self.store.close()


@dataclass(frozen=True)
class Fill:
    """Computes the targets of all `samples`, once, in a run that stands at `step` of `total_steps`."""

    control: Control
    device: torch.device
    samples: int
    step: int
    total_steps: int

    def __call__(self, store: cache.Cache, teacher: cache.Teacher, source: Source) -> Generator[Event, None, Targets]:
        """Fill the cache, and report progress every few seconds. A stop or a hand-over that is requested meanwhile ends
        the filling early. After a stop the loop computes the targets that it still needs batch by batch. After a
        hand-over the next attempt fills the cache from the start. A hand-over that was requested before the filling
        began does not end it, because every attempt must get at least one step further."""
        asked = yield from self._work(store, teacher, source)
        if asked is None:
            return Targets(teacher, store)
        store.close()
        return Targets(teacher, rounded=True, leave=asked == "handover")

    def _work(self, store: cache.Cache, teacher: cache.Teacher, source: Source) -> Generator[Event, None, Asked]:
        began, told = time.monotonic(), -math.inf
        early = self.control.handover
        with closing(cache.fill(store, teacher, source)) as fractions:
            for seen in fractions:
                asked = self._asked(early)
                if asked and seen < 1:
                    return asked
                now = time.monotonic()
                if now - told >= METRICS_SECONDS:
                    told = now
                    yield self._progress(seen * self.samples / max(now - began, 1e-9))
        return None

    def _asked(self, early: bool) -> Asked:
        """The request that reached any of the processes. All of them ask here after the same batch."""
        asked = [self.control.handover and not early, self.control.stop]
        if distributed.world() > 1:
            asked = distributed.any_of(asked, self.device)
        return "handover" if asked[0] else "stop" if asked[1] else None

    def _progress(self, images_per_second: float) -> Event:
        return Event("progress", {
            "fraction": self.step / self.total_steps, "step": self.step, "total_steps": self.total_steps,
            "images_per_second": images_per_second, "eta_seconds": None,
        })  # fmt: skip
