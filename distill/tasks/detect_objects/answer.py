"""Objects by class and box: the detector's loss, how far it is from a teacher, and its running precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from distill import processes
from distill.answers import Answer, Compared, Distance, Regions, logits_of
from distill.answers.base import Guess
from distill.errors import InvalidConfig
from distill.tasks.detect_objects.detections import detect
from distill.tasks.detect_objects.heads import Head
from distill.tasks.detect_objects.heads.points import PointHead
from distill.tasks.detect_objects.rows import COLUMNS, Objects
from distill.tasks.detect_objects.running import counts, precision_by_threshold


class BoxAnswer(Answer):
    """Outputs as `head` reads them, labels (n, m, 6) of m boxes (`labels` beside this)."""

    loss_name: ClassVar[str] = "detection"
    primary: ClassVar[str] = "ap"
    counts_in_training: ClassVar[bool] = False
    places: ClassVar[bool] = True

    def __init__(self, head: Head | None = None) -> None:
        self.head = PointHead() if head is None else head

    def compare(self, output: Any, labels: Tensor, targets: Mapping[str, Tensor] | None = None) -> Compared:
        """Raises `InvalidConfig` for outputs or labels of another task."""
        found = logits_of(output)
        if self.head.classes(found) < 1 or labels.dim() != 3 or labels.shape[-1] != COLUMNS:
            raise InvalidConfig(
                f"Outputs {tuple(found.shape)} and labels {tuple(labels.shape)} are not those of a detector by "
                f"{self.head.kind.title}, whose labels are (n, boxes, {COLUMNS}).",
                "Use a detector, such as retort:fcos.",
                {"outputs": list(found.shape), "labels": list(labels.shape)},
            )
        return Compared(found, labels, targets or {})

    def loss(self, compared: Compared) -> Tensor:
        """The detector's own: nats and shares, a mean over the images."""
        return self.head.loss(compared.outputs, Objects.of(compared.labels))

    def ask(self, teacher: nn.Module, given: Any) -> dict[str, Tensor]:
        return self.head.ask(teacher, given)

    def divergence(self, compared: Compared, distance: Distance) -> Tensor:
        """That of the detector's kind (`distill.tasks.detect_objects.heads`). Raises `InvalidConfig` for a teacher that
        answers at other places."""
        with processes.sharing(together=False):  # `distance` compares the answers for one image
            return self.head.divergence(compared.outputs, compared.targets, distance)

    def regions(self, labels: Tensor, size: tuple[int, int]) -> Regions:
        objects = Objects.of(labels)
        return Regions(objects.corners / labels.new_tensor([size[1], size[0]] * 2), objects.there, objects.ignored)

    def mean(self, outputs: Sequence[Any]) -> Any:
        """Raises `InvalidConfig` for detectors each of which answers for boxes of its own."""
        if not self.head.kind.averages:
            raise InvalidConfig(
                f"Answers of several detectors by {self.head.kind.title} have no mean.", "Use another recipe.", {}
            )
        return super().mean(outputs)

    def weight(self, labels: Tensor) -> int:
        return len(labels)

    def figures(self, outputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """`table` (2, 10, C, BINS) and `objects` (C,): see `distill.tasks.detect_objects.running`. Waits for the
        device."""
        found = [detect(one, self.head) for one in outputs]
        table, held = counts(found, Objects.of(labels), self.head.classes(outputs))
        return {"table": table.to(outputs.device), "objects": held.to(outputs.device)}

    def values(self, sums: Mapping[str, Tensor], count: float) -> dict[str, float]:
        found = precision_by_threshold(sums["table"], sums["objects"])
        return {"ap": float(found.mean()), "ap50": float(found[0])}

    def at_chance(
        self, values: Mapping[str, float], guess: Guess | None, tally: Callable[[], Tensor | None]
    ) -> str | None:
        """A detector none of whose boxes meets an object of its class by half (**our choice**)."""
        return "none of its boxes meets an object of its class, AP50 0" if values["ap50"] == 0 else None
