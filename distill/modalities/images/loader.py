"""Batches for training and evaluation: one crop for student and teachers, each in its normalisation and size."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from distill.data.plan import Plan, draws
from distill.errors import InvalidConfig
from distill.modalities.images.ahead import Ahead
from distill.modalities.images.crops import crop_flip, evaluated
from distill.modalities.images.large import LargeImages, Views
from distill.modalities.images.normalise import Normaliser
from distill.modalities.images.preprocessing import Preprocessing
from distill.modalities.images.samples import Samples
from distill.modalities.images.together import Seeing, gathered, members_of

Augmentation = Literal["none", "crop_flip", "randaugment"]
AUGMENTATIONS: tuple[Augmentation, ...] = ("none", "crop_flip", "randaugment")


@dataclass(frozen=True, slots=True)
class Batch:
    """`index` (n): positions in the loader's samples; `labels` (n); `student`, `teacher` (n, c, h, w) float32, or a
    tuple of them for a set of networks, the same tensor where several want the same, `teacher` None where there is
    none. On the loader's device; `host_index` is `index` on the CPU, so that looking something up there needs no
    synchronisation."""

    index: Tensor
    labels: Tensor
    student: Any
    teacher: Any
    host_index: Tensor


class Loader:
    """Batches of `samples` at `indices`, deterministic in (seed, epoch, sample): see `distill.data.plan`.

    Small images of one size (side at most 96) are cropped, mirrored and normalised as whole tensors on the device;
    others are decoded one by one, in `workers` processes (spawned) or in this one. `crop_flip` is padding by an eighth
    and a random crop for small images, a random resized crop for others, both with mirroring; `randaugment` adds
    torchvision's RandAugment after it. `batch_size` is one process's; `rank` of `world` takes its part of every global
    batch (see `Plan`, also for `drop_last` and `before`). `evenly`: shuffled epochs draw the classes evenly; a sample
    that is drawn again is augmented anew, by the place that it has in the epoch. `channels_last` sets the memory format
    of the inputs. Samples of shards are shuffled within windows (`distill.data.windows`), and the next window's shards
    are fetched ahead.
    Raises `InvalidConfig` where no batch can be made.
    """

    def __init__(  # noqa: PLR0913 - all but four by keyword: who wants plain batches names what differs
        self,
        samples: Samples,
        indices: Tensor | Sequence[int],
        batch_size: int,
        student: Seeing,
        teacher: Seeing | None = None,
        augmentation: str = "none",
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = True,
        device: torch.device | str = "cpu",
        channels_last: bool = False,
        workers: int = 0,
        rank: int = 0,
        world: int = 1,
        evenly: bool = False,
        before: bool = False,
    ) -> None:
        self.samples, self.device, self.seed, self.augmentation = samples, torch.device(device), seed, augmentation
        self.indices = torch.as_tensor(indices, dtype=torch.int64).cpu()
        drawn = samples.labels[self.indices] if evenly else None
        self._windows = None if samples.windows is None else samples.windows.of(self.indices)
        self._plan = Plan(
            len(self.indices), batch_size, seed, shuffle, drop_last, rank, world, drawn, before, self._windows
        )
        _check(self._plan, augmentation)
        self._student, self._teacher = student, teacher
        seers = dict.fromkeys([*members_of(student), *members_of(teacher)])
        self._normalise = {wanted: Normaliser(wanted, self.device, channels_last) for wanted in seers}
        self._labels = samples.labels.to(self.device)
        self._numbers: tuple[int, Tensor] | None = None
        self._home = _home(samples, augmentation, self.device)
        self._cached = samples.cached(self._home)
        self._wanted, self._view = _views(seers)
        views = Views(samples, self._wanted, augmentation, seed)
        self._large = LargeImages(views, workers) if self._cached is None else None

    @property
    def batches_per_epoch(self) -> int:
        """The same for every rank."""
        return self._plan.batches

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches `start`, `start` + 1, ... of an epoch: exactly those that the epoch from 0 gives there."""
        order = self._plan.order(epoch)
        numbers = range(start, self.batches_per_epoch)
        batches = [self.indices[self._plan.batch_of(order, i)] for i in numbers]
        rows = [self._plan.places(i) for i in numbers] if self._plan.repeats else batches
        if self._large is None:
            return (self._small(epoch, host, row) for host, row in zip(batches, rows, strict=True))
        return self._from_large(self._large, epoch, batches, rows, order, start)

    def close(self) -> None:
        """End worker processes, if any."""
        if self._large is not None:
            self._large.close()

    def _small(self, epoch: int, host: Tensor, rows: Tensor) -> Batch:
        assert self._cached is not None
        pixels = self._cached.index_select(0, self._to(self.samples.rows[host], self._home))
        if self.augmentation != "none":
            numbers = self._draws(epoch)[self._to(rows, self._home)]
            pixels = crop_flip(pixels, numbers)
            if self.augmentation == "randaugment":
                pixels = self._randaugment(pixels, numbers)
        else:
            pixels = evaluated(pixels, self._wanted[0].size, self._wanted[0].crop)
        return self._batch(host, (self._to(pixels, self.device),))

    @contextmanager
    def _ahead(self, order: Tensor) -> Iterator[Callable[[int], None]]:
        """What is told which sample of `order` was reached: shards are fetched ahead of it, where there are any."""
        if self._windows is None:
            yield lambda position: None
            return
        ahead = Ahead(self._windows.groups[order], self.samples.fetch)
        try:
            yield ahead.reached
        finally:
            ahead.close()

    def _from_large(
        self, large: LargeImages, epoch: int, batches: list[Tensor], rows: list[Tensor], order: Tensor, start: int
    ) -> Iterator[Batch]:
        size = self._plan.batch * self._plan.world
        with self._ahead(order[start * size :]) as reached:
            reached(0)
            for number, (host, views) in enumerate(zip(batches, large.epoch(epoch, batches, rows), strict=True)):
                reached(number * size)
                yield self._batch(host, tuple(self._to(view, self.device) for view in views))

    def _batch(self, host: Tensor, views: tuple[Tensor, ...]) -> Batch:
        index = self._to(host, self.device)
        whole = len(views) == 1  # small pictures are one tensor, which each normalisation resizes
        seen = {how: norm(views[0 if whole else self._view[how]]) for how, norm in self._normalise.items()}
        student = gathered(self._student, seen)
        teacher = None if self._teacher is None else gathered(self._teacher, seen)
        return Batch(index, self._labels.index_select(0, index), student, teacher, host)

    def _draws(self, epoch: int) -> Tensor:
        if self._numbers is None or self._numbers[0] != epoch:
            self._numbers = (epoch, draws(self.seed, epoch, len(self.samples)).to(self._home))
        return self._numbers[1]

    def _randaugment(self, pixels: Tensor, numbers: Tensor) -> Tensor:
        from distill.modalities.images.augment import randaugment

        return randaugment(pixels, numbers[:, 5])

    def _to(self, tensor: Tensor, device: torch.device) -> Tensor:
        if device.type == "cpu" or tensor.device == device:
            return tensor
        return tensor.pin_memory().to(device, non_blocking=True)


def _home(samples: Samples, augmentation: str, device: torch.device) -> torch.device:
    """Where the decoded pixels lie: on the accelerator if they take at most a quarter of its free memory. RandAugment's
    many small operations are slower there than on the CPU."""
    host = torch.device("cpu")
    pixels = samples.cached(host)
    if device.type != "cuda" or pixels is None or augmentation == "randaugment":
        return host
    free, _ = torch.cuda.mem_get_info(device)
    return device if pixels.numel() <= free / 4 else host


def _views(seers: Collection[Preprocessing]) -> tuple[tuple[Preprocessing, ...], dict[Preprocessing, int]]:
    """The views that are made of a picture, the student's first, and which of them each network normalises: those of
    one size, channels and interpolation share one."""
    wanted: dict[tuple[object, ...], Preprocessing] = {}
    for how in seers:
        wanted.setdefault(_of_view(how), how)
    places = list(wanted)
    return tuple(wanted.values()), {how: places.index(_of_view(how)) for how in seers}


def _of_view(how: Preprocessing) -> tuple[object, ...]:
    return how.size, how.channels, how.interpolation


def _check(plan: Plan, augmentation: str) -> None:
    if augmentation not in AUGMENTATIONS:
        raise InvalidConfig(f"There is no augmentation {augmentation!r}.", f"Use one of {', '.join(AUGMENTATIONS)}.")
    if plan.batch < 1 or not 0 <= plan.rank < plan.world:
        raise InvalidConfig("A batch needs at least one sample and a rank within the world.", "Check batch_size.")
    if plan.batches == 0:
        raise InvalidConfig(
            f"{plan.count} samples make no batch for {plan.world} processes.", "Use more samples or fewer processes."
        )
