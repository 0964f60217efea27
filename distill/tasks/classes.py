"""Tasks whose answers are rows of classes: how they are evaluated and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from distill.disagreement import Apart, Look, in_batches, jensen_shannon
from distill.evaluate import Predictions, accuracy, difference, predictions
from distill.statistics import Difference
from distill.tasks.base import Report, Task
from distill.tasks.network import Network

KEPT_BYTES = 2**29
"""Probabilities of a test set that are kept to compare two networks sample by sample; of more there is no ranking."""
JENSEN_SHANNON = (
    "Jensen-Shannon divergence of the student's probabilities from the teacher's, in bits: 0 where they are equal, 1 "
    "where they have no class in common."
)


class RowTask(Task):
    """Every row (a sample, or a token of an answer) is right or wrong; the primary metric is the accuracy."""

    def predict(self, network: Network) -> Predictions:
        rows = len(self.splits.test) if self.spec.per_class else 0  # of a token nobody asks how it differs
        keep = 0 < 2 * rows * len(self.classes) <= KEPT_BYTES
        return predictions(network.module, self.test_source(network), self.device, answer=self.answer, keep=keep)

    def figures(self, network: Network, found: Predictions, teacher: Any | None) -> Report:
        return accuracy(found, self.classes if self.spec.per_class else (), teacher)

    def apart(self, student: Any, teacher: Any) -> Apart | None:
        """Jensen-Shannon divergence of the two networks' probabilities, in bits, in [0, 1]. None for what a task made
        of this one predicts otherwise."""
        if not isinstance(student, Predictions) or not isinstance(teacher, Predictions):
            return None
        said, wanted = student.log_probabilities, teacher.log_probabilities
        if said is None or wanted is None:
            return None
        scores = in_batches(jensen_shannon, said, wanted)
        networks = {"student": said, "teacher": wanted}

        def look(places: Sequence[int]) -> list[Look]:
            return [self._seen(student, networks, place) for place in places]

        return Apart(scores, "jensen_shannon", JENSEN_SHANNON, self.splits.test, look)

    def _seen(self, found: Predictions, networks: Mapping[str, Tensor], place: int) -> Look:
        told: Report = {"label": {"label": self.classes[int(found.labels[place])]}}
        for name, rows in networks.items():
            number = int(rows[place].argmax())
            told[name] = {"label": self.classes[number], "probability": float(rows[place, number].float().exp())}
        return self.sight(int(self.splits.test[place])).telling(told)

    def difference(self, first: Predictions, second: Predictions) -> Difference:
        return difference(first, second)
