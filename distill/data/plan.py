"""Which samples form which batch, and the random numbers of each sample: functions of (seed, epoch, sample) alone.

So an epoch that starts at batch b gives exactly what the undisturbed epoch gives from there, and process r of w sees
its part of the batches that one process with the w-fold batch size would see.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

import torch
from torch import Tensor

from distill.data.evenly import evenly
from distill.data.windows import Windows

DRAWS = 6
"""Numbers in [0, 1) a sample and epoch: two for the position, one for the flip, two for the area and shape of a random
resized crop, one that seeds RandAugment."""
_ORDER, _AUGMENT, _WINDOWS = 1, 2, 6


def generator(seed: int, epoch: int, purpose: int) -> torch.Generator:
    """A CPU generator of its own for each seed, epoch and purpose."""
    # Odd multipliers below 2^62 keep the three apart; the Mersenne Twister hashes what it is given.
    mixed = (seed * 0x9E3779B97F4A7C15 + epoch * 0xC2B2AE3D27D4EB4F + purpose * 0x165667B19E3779F9) % 2**63
    return torch.Generator().manual_seed(mixed)


def draws(seed: int, epoch: int, count: int) -> Tensor:
    """(count, DRAWS) in [0, 1): row i is sample i's, whatever batch it falls into."""
    return torch.rand(count, DRAWS, generator=generator(seed, epoch, _AUGMENT))


@dataclass(frozen=True, slots=True)
class Plan:
    """How `count` samples are cut into batches for process `rank` of `world`.

    `batch` is one process's batch size; a global batch has `world * batch` samples, of which rank r takes the r-th
    part. `drop_last` drops an incomplete global batch, unless it is the only one. Without it, the last global batch
    is shared out in parts that differ by at most one, and dropped where it cannot give every process a sample.
    `before`: each part begins with one sample more, the one before it in the global batch, cyclically, for what mixes
    neighbours. `labels` (count,): shuffled epochs draw these classes evenly, some samples several times
    (`distill.data.evenly`). `windows`: shuffled epochs go through the samples window by window.
    """

    count: int
    batch: int
    seed: int
    shuffle: bool = True
    drop_last: bool = True
    rank: int = 0
    world: int = 1
    labels: Tensor | None = field(default=None, compare=False)
    before: bool = False
    windows: Windows | None = field(default=None, compare=False)

    @property
    def batches(self) -> int:
        """Batches an epoch, the same for every rank."""
        whole, rest = divmod(self.count, self.batch * self.world)
        partial = rest >= self.world and (not self.drop_last or whole == 0)
        return whole + int(partial)

    def order(self, epoch: int) -> Tensor:
        """Positions 0..count-1 in the epoch's order (int64, (count,))."""
        if not self.shuffle:
            return torch.arange(self.count)
        lots = generator(self.seed, epoch, _ORDER)
        order = torch.randperm(self.count, generator=lots) if self.labels is None else evenly(self.labels, lots)
        if self.windows is None:
            return order
        return self.windows.arranged(order, generator(self.seed, epoch, _WINDOWS))

    def places(self, number: int) -> Tensor:
        """Where in the epoch's order this rank's part of global batch `number` stands."""
        return self.batch_of(torch.arange(self.count), number)

    @property
    def repeats(self) -> bool:
        """Whether an epoch may hold a sample several times."""
        return self.shuffle and self.labels is not None

    def batch_of(self, order: Tensor, number: int) -> Tensor:
        """This rank's positions in global batch `number`."""
        size = self.batch * self.world
        whole = order[number * size : (number + 1) * size]
        low, high = (ceil(len(whole) * part / self.world) for part in (self.rank, self.rank + 1))
        part = whole[low:high]
        return torch.cat([whole.roll(1)[low : low + 1], part]) if self.before else part
