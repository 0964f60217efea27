"""Running sums on the device, so that the loop waits for the device only when a metric is due; speed and time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from distill.layers.sequence import IGNORED


class Meter:
    """Means of named scalar losses and the accuracy over a window of batches, weighted by batch size."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, parts: Mapping[str, Tensor], labels: Tensor) -> None:
        """`parts`: scalars, and `logits` (n, C), from which the accuracy is counted. No synchronisation. Labels (n, t)
        of tokens count as the m that are to be predicted; `logits` are then (m, C)."""
        labels = predicted(labels)
        size = len(labels)
        for name, value in parts.items():
            if name == "logits":
                self._add("accuracy", (value.detach().argmax(1) == labels).sum().double())
            elif value.dim() == 0:
                self._add(name, value.detach().double() * size)
        self.count += size

    def _add(self, name: str, value: Tensor) -> None:
        self._sums[name] = self._sums[name] + value if name in self._sums else value

    def take(self, total: Callable[[Tensor], Tensor] = lambda sums: sums) -> dict[str, float]:
        """The window's means; starts a new window. One synchronisation. `total` adds up the sums of processes."""
        if not self.count:
            return {}
        sums = list(self._sums.values())
        counted = total(torch.stack([*sums, torch.full_like(sums[0], self.count)]))
        means = dict(zip(self._sums, (counted[:-1] / counted[-1]).tolist(), strict=True))
        self._sums, self.count = {}, 0
        return means


def predicted(labels: Tensor) -> Tensor:
    """(m,): classes as they are; of token ids (n, t) those that `distill.recipes._networks.answered` keeps."""
    return labels if labels.dim() == 1 else labels[:, 1:][labels[:, 1:] != IGNORED]


def weight(labels: Tensor) -> int | Tensor:
    """How many predictions a batch's loss is a mean over: the samples, or the `predicted` tokens of a decoder's
    answers, these as a scalar on the device, for which nobody waits."""
    return len(labels) if labels.dim() == 1 else (labels[:, 1:] != IGNORED).sum()


class Speed:
    """Images per second over the last `window_seconds`, and the time left once that has settled."""

    def __init__(self, window_seconds: float = 30.0, settle_seconds: float = 3.0, settle_steps: int = 10) -> None:
        self.window, self.settle_seconds, self.settle_steps = window_seconds, settle_seconds, settle_steps
        self._marks: deque[tuple[float, int, int]] = deque()

    def mark(self, step: int, images: int, now: float | None = None) -> None:
        """After a step: `images` seen since the run (or its continuation) began."""
        now = time.monotonic() if now is None else now
        self._marks.append((now, step, images))
        while len(self._marks) > 2 and now - self._marks[1][0] >= self.window:
            self._marks.popleft()

    def images_per_second(self) -> float:
        if len(self._marks) < 2:
            return 0.0
        (t0, _, i0), (t1, _, i1) = self._marks[0], self._marks[-1]
        return (i1 - i0) / max(t1 - t0, 1e-9)

    def eta_seconds(self, total_steps: int) -> float | None:
        """Seconds for the steps that are left at the window's rate (validation included); None until it is stable:
        at least `settle_steps` steps and `settle_seconds` in the window."""
        if len(self._marks) < 2:
            return None
        (t0, s0, _), (t1, s1, _) = self._marks[0], self._marks[-1]
        if s1 - s0 < self.settle_steps or t1 - t0 < self.settle_seconds:
            return None
        return (total_steps - s1) * (t1 - t0) / (s1 - s0)
