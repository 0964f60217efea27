"""One training from its first decision to its last step: what each phase reads, and what it leaves for the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from distill import offload
from distill.control import Control
from distill.recipe_parts.base import Recipe
from distill.training import distributed, sharding
from distill.training.cache import Cache, Teacher
from distill.training.data import Order, Source, TrainData
from distill.training.plan import Length, Resolved, length
from distill.training.probe import Example
from distill.training.targets import Targets
from distill.types import DistillConfig
from distill.warned import RunWarning

AS_THEY_ARE: dict[str, Any] = {
    "drop_last": False, "teacher": False, "augment": False, "evenly": False, "rank": 0, "world": 1,
}  # fmt: skip
"""Every sample once, unchanged, for one process."""


@dataclass
class Training:
    """Given: `recipe`, trained in place; `data`; `config`; `folder` of the checkpoints; `control`; `device`; `carry`
    (JSON that travels in every checkpoint); `norms`, which measures the watched layers on a batch. Left by the phases:
    `resolved`, every `auto` replaced; `cautions`, what is probably wrong with it; `targets`, what the teacher says of a
    batch."""

    recipe: Recipe
    data: TrainData
    config: DistillConfig
    folder: Path
    control: Control
    device: torch.device
    carry: dict[str, Any]
    norms: Callable[[Any], dict[str, Any]] | None = None
    resolved: Resolved = field(init=False)
    cautions: list[RunWarning] = field(default_factory=list, init=False)
    targets: Targets = field(init=False)

    @cached_property
    def length(self) -> Length:
        return length(self.config, self.source().batches_per_epoch)

    @property
    def main(self) -> bool:
        """Whether this process writes checkpoints: one of several does."""
        return distributed.rank() == 0

    @property
    def sharded(self) -> bool:
        """Whether the networks lie in shares on the processes."""
        return distributed.sharded()

    def order(self, **changes: Any) -> Order:
        """How the training samples come, with `changes`."""
        order = Order(
            batch_size=self.config.batch_size, device=self.device, shuffle=True,
            drop_last=self.data.size >= self.config.batch_size, teacher=self.recipe.teacher is not None,
            augment=self.config.augments, evenly=self.config.sampling == "balanced", rank=distributed.rank(),
            world=distributed.world(),
        )  # fmt: skip
        return replace(order, **changes)

    def source(self, **changes: Any) -> Source:
        """Training samples."""
        return self.data.open_train(self.order(**changes))

    @cached_property
    def training_source(self) -> Source:
        """What the loop trains on: without the teacher's inputs where its targets are known."""
        return self.source(teacher=self.recipe.teacher is not None and self.targets.store is None)

    @cached_property
    def validation_source(self) -> Source:
        """Held-out samples: with the teacher's inputs where no label judges them."""
        changes = AS_THEY_ARE | {"shuffle": False, "teacher": not self.recipe.answer.taught}
        return self.data.open_validation(self.order(**changes))

    def example(self) -> Example:
        """The first batch."""
        batch = next(iter(self.source().epoch(0)))
        return Example(batch.student, batch.teacher, batch.labels, batch.index)

    def place(self) -> None:
        """Put the networks where they run."""
        recipe, teacher = offload.wake(self.recipe), self.recipe.teacher
        if self.sharded:
            sharding.shard(recipe, recipe.student, device=self.device)
        else:
            recipe.to(self.device)
        if teacher is not None and self.sharded:
            sharding.shard(offload.wake(teacher), device=self.device)
        elif teacher is not None:
            offload.put(teacher, self.device)

    def take_back(self) -> None:
        """Networks that lie in shares are whole again: the trained one where it ran, the teacher on the CPU."""
        for network in (self.recipe, self.recipe.teacher) if self.sharded else ():
            if network is not None:
                sharding.gather(network)
        offload.put(self.recipe, self.device)

    def teacher(self) -> Teacher:
        return Teacher(self.recipe, self.resolved.teacher, self.device)

    def cache(self) -> Cache:
        """An empty cache for the teacher's targets of this process."""
        folder = self.folder / ("cache" if distributed.world() == 1 else f"cache-{distributed.rank()}")
        indices = torch.as_tensor(self.data.indices)
        return Cache(self.resolved.cache, indices, folder, self.device, self.data.packing)
