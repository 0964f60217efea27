"""Images of any size: decoded, cropped and resized one by one, in worker processes where asked for."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Protocol, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from distill.data.plan import draws
from distill.errors import RetortError
from distill.modalities.images.crops import Box, centre_box, random_box
from distill.modalities.images.pixel_crops import RESAMPLING, Crop, Pixels, as_grey, cropped, resized, to_planes
from distill.modalities.images.preprocessing import Preprocessing
from distill.modalities.images.reduced import divisor
from distill.modalities.images.samples import Samples

Key = tuple[int, int, int]  # epoch, sample, row of the epoch's random numbers
_PREFETCH = 4


class DrawnViews(Dataset[Any]):
    """Views of samples by key, each by its row of the random numbers that a seed and an epoch give."""

    samples: Sized
    seed: int
    _numbers: tuple[int, NDArray[np.float32]] | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: Key) -> tuple[NDArray[Any], ...] | RetortError:
        # A worker process would wrap the error into text and lose its remedy; as a value it arrives whole.
        try:
            return self.views(*key)
        except RetortError as error:
            return error

    def views(self, epoch: int, i: int, row: int) -> tuple[NDArray[Any], ...]:
        """Sample i as `row` of the epoch shows it. Raises `RetortError`."""
        raise NotImplementedError

    def numbers(self, epoch: int, row: int) -> list[float]:
        """The random numbers, in [0, 1), of a row of an epoch."""
        if self._numbers is None or self._numbers[0] != epoch:
            self._numbers = (epoch, draws(self.seed, epoch, len(self.samples)).numpy())
        found: list[float] = self._numbers[1][row].tolist()
        return found


@dataclass
class Views(DrawnViews):
    """A key -> uint8 (c, h, w) for each of `wanted`: the student, and the teacher where it wants another size
    or channels. All see one crop."""

    samples: Samples
    wanted: tuple[Preprocessing, ...]
    augmentation: str
    seed: int

    def views(self, epoch: int, i: int, row: int) -> tuple[Pixels, ...]:
        if self.augmentation == "none":
            image = self.samples.image(i)
            box = centre_box((image.height, image.width), self.wanted[0].size, self.wanted[0].crop)
            return tuple(_view(image, box, wanted) for wanted in self.wanted)
        numbers = self.numbers(epoch, row)
        decoded = self.samples.decoded(i, lambda size: divisor(random_box(size, numbers), self.wanted))
        crop = cropped(decoded, random_box(decoded.size, numbers))
        if self.augmentation == "randaugment":
            crop = Crop(self._augmented(crop, numbers[5]))
        return tuple(_crop_view(crop, wanted, mirrored=numbers[2] >= 0.5) for wanted in self.wanted)

    def _augmented(self, crop: Crop, number: float) -> Pixels:
        """RandAugment at the largest wanted size, so that every view shows the same."""
        from distill.modalities.images.augment import randaugment

        largest = max(self.wanted, key=lambda wanted: wanted.size)
        planes = np.ascontiguousarray(to_planes(resized(crop, largest)))
        out = randaugment(torch.from_numpy(planes)[None], torch.tensor([number]))[0].numpy()
        return out[0] if out.shape[0] == 1 else out.transpose(1, 2, 0)


def _crop_view(crop: Crop, wanted: Preprocessing, mirrored: bool) -> Pixels:
    """uint8 (c, h, w) of a crop. A set of grey and coloured images stacks as colour; an all-grey one
    stays one channel until it is normalised."""
    shown = resized(as_grey(crop) if wanted.channels == 1 else crop, wanted)
    return to_planes(shown[:, ::-1] if mirrored else shown)


def evaluation_view(image: Image.Image, wanted: Preprocessing) -> Pixels:
    """uint8 (c, h, w): what evaluation shows of a decoded image that is looked at alone."""
    return _view(image, centre_box((image.height, image.width), wanted.size, wanted.crop), wanted)


def _view(image: Image.Image, box: Box, wanted: Preprocessing) -> Pixels:
    image = image.convert("L") if wanted.channels == 1 else image
    height, width = wanted.size
    if image.size != (width, height) or box != (0.0, 0.0, float(width), float(height)):
        image = image.resize((width, height), RESAMPLING[wanted.interpolation], box=box)
    return to_planes(np.array(image))


@dataclass
class Collate:
    """Stack views; grey ones become colour where a neighbour has colour. The first error stands for its batch.

    `copied`: give NumPy arrays, which travel through a pipe, where tensors cannot travel as shared memory.
    """

    copied: bool = False

    def __call__(self, rows: list[tuple[Pixels, ...] | RetortError]) -> tuple[Any, ...] | RetortError:
        good: list[tuple[Pixels, ...]] = []
        for row in rows:
            if isinstance(row, RetortError):
                return row
            good.append(row)
        stacked = tuple(_stack(views) for views in zip(*good, strict=True))
        return stacked if self.copied else tuple(torch.from_numpy(view) for view in stacked)


def _stack(views: tuple[Pixels, ...]) -> Pixels:
    most = max(view.shape[0] for view in views)
    return np.stack([np.broadcast_to(view, (most, *view.shape[1:])) for view in views])


def shares_memory(wanted: tuple[Preprocessing, ...], batch: int, workers: int) -> bool:
    """Whether batches may travel as shared memory: their descriptors need Unix sockets, which a process that is held
    by seccomp may not have, and /dev/shm must hold twice the batches in flight (containers often have 64 MiB there)."""
    one = 3 * batch * sum(how.size[0] * how.size[1] for how in wanted)
    try:
        socket.socket(socket.AF_UNIX).close()
    except OSError:
        return False
    try:
        return shutil.disk_usage("/dev/shm").free > 2 * one * workers * _PREFETCH  # noqa: S108
    except OSError:
        return True  # no such folder: another kind of system, whose shared memory has no such cap


class Shown(Protocol):
    """What worker processes are asked for: by key, one array for each of `wanted` and whatever else a batch
    has of the sample; an error of ours as a value."""

    @property
    def wanted(self) -> tuple[Preprocessing, ...]: ...
    def __getitem__(self, key: Key) -> tuple[NDArray[Any], ...] | RetortError: ...


@dataclass(frozen=True, slots=True)
class _Keys(Sequence[list[Key]]):
    """The keys of every batch of an epoch, made when they are asked for: all at once they are 200 bytes a sample."""

    epoch: int
    batches: Sequence[Tensor]
    rows: Sequence[Tensor]

    def __len__(self) -> int:
        return len(self.batches)

    @overload
    def __getitem__(self, number: int) -> list[Key]: ...
    @overload
    def __getitem__(self, number: slice) -> _Keys: ...
    def __getitem__(self, number: int | slice) -> list[Key] | _Keys:
        if isinstance(number, slice):
            return _Keys(self.epoch, self.batches[number], self.rows[number])
        samples, rows = self.batches[number].tolist(), self.rows[number].tolist()
        return [(self.epoch, i, row) for i, row in zip(samples, rows, strict=True)]


class _Batches:
    """What the DataLoader iterates: replaced before every epoch."""

    def __init__(self) -> None:
        self.keys: Sequence[list[Key]] = []

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


class LargeImages:
    """Batches of views in the order asked for; worker processes are started once and kept until `close`."""

    def __init__(self, views: Shown, workers: int) -> None:
        self._batches = _Batches()
        self._views, self._workers = views, workers
        self._loader: DataLoader[Any] | None = None

    def epoch(
        self, epoch: int, batches: list[Tensor], rows: list[Tensor] | None = None
    ) -> Iterator[tuple[Tensor, ...]]:
        """Views of every batch of sample positions. `rows`: of the epoch's random numbers, unless each sample has that
        of its own position."""
        for views in self._delivered(_Keys(epoch, batches, rows or batches)):
            if isinstance(views, RetortError):
                raise views
            yield tuple(torch.as_tensor(view) for view in views)

    def _delivered(self, keys: Sequence[list[Key]]) -> Iterator[Any]:
        if self._workers == 0 or not keys:
            collate = Collate()
            return (collate([self._views[key] for key in batch]) for batch in keys)
        self._batches.keys = keys
        self._loader = self._loader or self._started(len(keys[0]))
        return iter(self._loader)

    def close(self) -> None:
        """End the worker processes."""
        self._loader = None

    def _started(self, batch: int) -> DataLoader[Any]:
        copied = not shares_memory(self._views.wanted, batch, self._workers)
        return DataLoader(
            self._views,  # type: ignore[arg-type]  # any map from key to sample is one
            batch_sampler=self._batches,
            num_workers=self._workers,
            multiprocessing_context="spawn",
            persistent_workers=True,
            prefetch_factor=_PREFETCH,
            collate_fn=Collate(copied),
            generator=torch.Generator(),  # the loader's own draws must not come from the run's global generator
        )
