"""What tasks of images whose labels have places have in common, whatever the labels are."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from distill.data.plan import Plan
from distill.tasks._images.framed import FramedLoader, Seeing
from distill.tasks._images.task import ImageTask, workers_of
from distill.tasks.base import Split
from distill.tasks.network import Network
from distill.tasks.opening import share_of
from distill.training.data import Order, Source


class FramedTask(ImageTask):
    """`loads`: the loader of its samples. Images are evaluated one by one, each at its own size."""

    loads: ClassVar[type[FramedLoader]]
    intervals = "bootstrap intervals over images"
    checked_samples = 32

    def strata(self, split: Split) -> Tensor:
        found: Tensor = getattr(self.dataset, split).strata
        return found

    def loader(self, indices: Tensor, order: Order) -> Source:
        data = self.dataset.train
        plan = Plan(
            len(indices), share_of(order), self.config.seed, order.shuffle, order.drop_last, order.rank, order.world
        )
        teacher = self.teacher.preprocessing if self.teacher and order.teacher else None
        augmentation = self.config.augmentation if order.augment else "none"
        seeing = Seeing(self.student.preprocessing, teacher, augmentation)
        return self.loads(data, indices, plan, seeing, order.device, workers_of(data))

    def in_order(self, split: Split, indices: Tensor, batch: int, seeing: Seeing) -> Source:
        """Samples of a split as they follow each other, every one of them once."""
        samples = getattr(self.dataset, split)
        plan = Plan(len(indices), batch, 0, shuffle=False, drop_last=False)
        return self.loads(samples, indices, plan, seeing, self.device, workers_of(samples))

    @property
    def native(self) -> tuple[int, int] | None:
        return None

    def size_of_student(self) -> tuple[tuple[int, int] | None, str]:
        """What the teacher sees: labels and features have places, which the student's should be too."""
        if self.teacher is None:
            return super().size_of_student()
        return self.teacher.preprocessing.size, "as the teacher sees them"

    @abstractmethod
    def answering(self, network: Network) -> Any:
        """The network as it answers one picture after another, on the CPU."""

    def shown(self, count: int) -> tuple[list[Any], dict[str, Any]]:
        """At most `count` test samples at even distances, as pairs of image and labels, and who answers for them:
        `student`, and `teacher` where it knows the same classes."""
        places = np.linspace(0, len(self.splits.test) - 1, min(count, len(self.splits.test))).round().astype(int)
        networks = {"teacher": self.teacher if self.teacher_classes.same else None, "student": self.student}
        pairs = [self.dataset.test.pair(int(self.splits.test[place])) for place in places]
        return pairs, {name: self.answering(network) for name, network in networks.items() if network is not None}
