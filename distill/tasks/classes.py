"""Tasks whose answers are rows of classes: how they are evaluated and compared."""

from __future__ import annotations

from typing import Any

from distill.evaluate import Predictions, accuracy, difference, predictions
from distill.statistics import Difference
from distill.tasks.base import Report, Task
from distill.tasks.network import Network


class RowTask(Task):
    """Every row (a sample, or a token of an answer) is right or wrong; the primary metric is the accuracy."""

    def predict(self, network: Network) -> Predictions:
        return predictions(network.module, self.test_source(network), self.device, answer=self.answer)

    def figures(self, network: Network, found: Predictions, teacher: Any | None) -> Report:
        return accuracy(found, self.classes if self.spec.per_class else (), teacher)

    def difference(self, first: Predictions, second: Predictions) -> Difference:
        return difference(first, second)
