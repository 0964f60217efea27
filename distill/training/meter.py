"""Running sums on the device, so that the loop waits for the device only when a metric is due; speed and time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from distill import processes
from distill.answers import Answer

METRICS_SECONDS = 10.0
"""At most so long a run goes without metrics."""


class Meter:
    """Means of named scalar losses over a window of batches, each weighted by its predictions, and the task's figures.

    The answer says what a batch weighs, what it adds to the figures, and what the sums amount to. `figures`: whether
    they are counted; the losses always are.
    """

    def __init__(self, answer: Answer, figures: bool = True) -> None:
        self.answer, self.figures = answer, figures
        self._losses: dict[str, Tensor] = {}
        self._figures: dict[str, Tensor] = {}
        self._count: int | Tensor = 0
        self._labelled: int | Tensor = 0  # what the loss on labels is a mean over

    def add(self, parts: Mapping[str, Any], labels: Any) -> None:
        """`parts`: scalars, and `outputs` as the answer compares them; `labels`: the batch's own. No synchronisation
        beyond the answer's."""
        size, labelled = self.answer.weight(labels), self.answer.loss_weight(labels)
        for name, value in parts.items():
            if name == "outputs":
                for figure, total in (self.answer.figures(value, labels) if self.figures else {}).items():
                    _add(self._figures, figure, total)
            elif value.dim() == 0:
                _add(self._losses, name, value.detach().double() * (labelled if self._of_labels(name) else size))
        self._count, self._labelled = self._count + size, self._labelled + labelled

    def joined(self) -> Meter:
        """This window's sums with those of all other processes."""
        if processes.world() > 1:
            parts = processes.gathered([_on_host(each) for each in (self._losses, self._figures, self._both)])
            losses, figures, both = (dict[str, Tensor]() for _ in range(3))
            for part in parts:
                for sums, found in zip((losses, figures, both), part, strict=True):
                    for name, value in found.items():
                        _add(sums, name, value)
            self._losses, self._figures = losses, figures
            self._count, self._labelled = both["count"], both["labelled"]
        return self

    @property
    def _both(self) -> dict[str, Tensor]:
        return {"count": torch.as_tensor(self._count), "labelled": torch.as_tensor(self._labelled)}

    def _of_labels(self, name: str) -> bool:
        return name == self.answer.loss_name

    @property
    def _counts(self) -> tuple[int | Tensor, int | Tensor]:
        return self._count, self._labelled

    def take(self, total: Callable[[Tensor], Tensor] = lambda sums: sums) -> dict[str, float]:
        """The window's values; starts a new window. One synchronisation. `total` adds up the sums of processes. {} for
        a window without a prediction."""
        sums = self._losses | self._figures
        if not sums:
            return {}
        flat = [value.reshape(-1) for value in sums.values()]
        counts = [torch.as_tensor(each, dtype=torch.double, device=flat[0].device).view(1) for each in self._counts]
        *values, number, labelled = total(torch.cat([*flat, *counts])).tolist()
        shapes = {name: value.shape for name, value in self._figures.items()}
        over = {name: labelled if self._of_labels(name) else number for name in self._losses}
        means = {name: value / over[name] for name, value in zip(over, values, strict=False) if over[name]}
        parts = torch.split(
            torch.tensor(values[len(over) :], dtype=torch.double), [shape.numel() for shape in shapes.values()]
        )
        found = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        self._losses, self._figures, self._count, self._labelled = {}, {}, 0, 0
        if number == 0:
            return {}
        return means | (self.answer.values(found, number) if self.figures else {})


def _on_host(sums: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in sums.items()}


def _add(sums: dict[str, Tensor], name: str, value: Tensor) -> None:
    sums[name] = sums[name] + value if name in sums else value


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
