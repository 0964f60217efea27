"""An opened dataset for training: labels and pixels as tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from distill.data.limits import DEFAULT, Limits
from distill.data.windows import Windows
from distill.errors import InvalidConfig, InvalidDataset
from distill.modalities.images.opening import Raw, Split, open_raw
from distill.modalities.images.reduced import Decoded, Reducing
from distill.modalities.images.sources import UnreadableImage
from distill.types import DatasetInput
from distill.unlabelled import NO_LABEL

T = TypeVar("T")
Indices = Tensor | Sequence[int]


class _Store:
    """One split's pixels, decoded once and shared by every subset, with a copy per device that asks for one."""

    def __init__(self, split: Split) -> None:
        self.split, self.known = split, split.images.known()
        self._tensors: dict[torch.device, Tensor] = {}
        if split.pixels is not None:
            stacked = torch.from_numpy(np.array(split.pixels))  # np.array: arrays read from files are not writable
            stacked = stacked.unsqueeze(1) if stacked.dim() == 3 else stacked.permute(0, 3, 1, 2).contiguous()
            self._tensors[torch.device("cpu")] = stacked

    def __getstate__(self) -> dict[str, Any]:
        # Loader processes decode; they need neither the digests nor pixels that are decoded already.
        split = replace(self.split, digests=self.split.digests[:0], pixels=None)
        return {"split": split, "known": None, "_tensors": {}}

    def tensor(self, device: torch.device) -> Tensor | None:
        host = self._tensors.get(torch.device("cpu"))
        if host is None or device.type == "cpu":
            return host
        if device not in self._tensors:
            self._tensors[device] = host.to(device)
        return self._tensors[device]


class Samples:
    """Images with labels of one split, or of a subset of it. Positions count within these samples."""

    def __init__(self, split: Split, indices: Tensor | None = None, store: _Store | None = None) -> None:
        self._store = store or _Store(split)
        self._indices = torch.arange(len(split)) if indices is None else indices
        self._whole = indices is None
        self.labels: Tensor = torch.from_numpy(np.array(split.labels))[self._indices]

    def __len__(self) -> int:
        return len(self._indices)

    @property
    def uniform_shape(self) -> tuple[int, int, int] | None:
        """(c, h, w) where all images have one size, c = 1 where all are grey and else 3; None where sizes differ."""
        split, rows = self._store.split, self._indices.numpy()
        sizes = split.sizes[rows]
        if not len(sizes) or (sizes != sizes[0]).any():
            return None
        gray = split.gray[rows].all() if split.pixels is None else split.pixels.ndim == 3
        return (1 if gray else 3, int(sizes[0][0]), int(sizes[0][1]))

    @property
    def channels(self) -> int:
        """1 where all images are grey, else 3."""
        return 1 if self._store.split.gray[self._indices.numpy()].all() else 3

    @property
    def windows(self) -> Windows | None:
        """Which samples an index says are read together; None: all are at hand alike."""
        known = self._store.known
        return None if known is None else Windows(torch.from_numpy(known.groups)[self._indices])

    def held_out(self, fraction: float, of: int | None) -> Tensor | None:
        """Positions (int64, ascending) of the samples that validate where an index has drawn a lot for each, by a hash
        of its key: those below `fraction`, with labels where any has one; of only `of` training samples as large a
        part, the lowest lots. None: there is no index."""
        known = self._store.known
        if known is None:
            return None
        lots = torch.from_numpy(known.lots)[self._indices]
        labelled = self.labels != NO_LABEL
        drawn = ((lots < fraction) & (labelled if labelled.any() else ~labelled)).nonzero()[:, 0]
        most = len(drawn) if of is None else max(round(of * fraction), 1)
        return drawn[lots[drawn].argsort(stable=True)[:most]].sort().values

    def fetch(self, group: int) -> None:
        """Bring a group of `windows` to this machine."""
        self._store.split.images.fetch(group)

    def name(self, i: int) -> str:
        """What a user knows sample `i` by."""
        return self._store.split.images.name(int(self._indices[i]))

    def image(self, i: int) -> Image.Image:
        """Sample `i`, decoded, mode L or RGB. Raises `InvalidDataset` where it cannot be read."""
        return self._read(i, self._store.split.images.image)

    def decoded(self, i: int, reducing: Reducing) -> Decoded:
        """The pixels of `image`, smaller where `reducing` allows it and that saves time. Raises as `image` does."""
        return self._read(i, lambda row: self._store.split.images.decoded(row, reducing))

    def _read(self, i: int, read: Callable[[int], T]) -> T:
        row = int(self._indices[i])
        source = self._store.split.images
        try:
            return read(row)
        except UnreadableImage as error:
            raise InvalidDataset(
                f"Image {source.name(row)!r} cannot be read: {error}.",
                "Replace or remove it and register the dataset again.",
                {"image": source.name(row)},
            ) from error

    def pixels(self, indices: Indices) -> Tensor:
        """uint8 (n, c, h, w) of the samples at `indices`, for images of one size. Raises `InvalidConfig` for others."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        cached = self.cached(torch.device("cpu"))
        if cached is not None:
            return cached[rows if self._whole else self._indices[rows]]
        shape = self.uniform_shape
        if shape is None:
            raise InvalidConfig("The images differ in size, so they make no tensor.", "Resize them with a Loader.")
        mode = "L" if shape[0] == 1 else "RGB"
        return torch.stack([to_tensor(self.image(i).convert(mode)) for i in rows.tolist()])

    def cached(self, device: torch.device) -> Tensor | None:
        """All decoded pixels of the split on `device`, uint8 (N, c, h, w), or None; row `rows[i]` is sample i."""
        return self._store.tensor(device)

    @property
    def rows(self) -> Tensor:
        """Each sample's row in `cached` (int64, n)."""
        return self._indices

    def subset(self, indices: Indices) -> Samples:
        """Some of these samples, in the order of `indices`; decoded pixels are shared, not copied."""
        picked = self._indices[torch.as_tensor(indices, dtype=torch.int64)]
        return Samples(self._store.split, picked, self._store)


def to_tensor(image: Image.Image) -> Tensor:
    """uint8 (c, h, w) of a decoded image."""
    return torch.from_numpy(to_array(image))


def to_array(image: Image.Image) -> NDArray[np.uint8]:
    """uint8 (c, h, w) of a decoded image. By NumPy: torch would wake its threads for each image."""
    array = np.array(image)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


@dataclass(frozen=True, slots=True)
class Dataset:
    """`digest`: sha256 over class names, labels and content of both splits. `notes`: what was decided on opening."""

    name: str
    classes: tuple[str, ...]
    train: Samples
    test: Samples
    digest: str
    notes: tuple[str, ...]

    @property
    def channels(self) -> int:
        """1 where all images are grey, else 3."""
        return max(self.train.channels, self.test.channels)

    @property
    def native_size(self) -> tuple[int, int] | None:
        """(h, w) where all images of both splits have it, else None."""
        train, test = self.train.uniform_shape, self.test.uniform_shape
        return train[1:] if train and test and train[1:] == test[1:] else None


def open_dataset(dataset: DatasetInput, limits: Limits = DEFAULT, scratch: Path | None = None) -> Dataset:
    """Open a dataset of any kind for training.

    Every image is looked at once; small images of one size (side at most 96) are decoded into RAM within
    `limits.cache_bytes`. Without a test split 20 % are held out, stratified, seed 0, and `notes` says so. Images
    packed out of a compressed tar or parquet beyond 256 MiB go to one file under `scratch`, gone with the dataset.
    Raises `InvalidDataset`, `UnknownName`; then nothing is left behind.
    """
    raw: Raw = open_raw(dataset, limits, scratch)
    return Dataset(raw.name, raw.classes, Samples(raw.train), Samples(raw.test), raw.digest, raw.notes)
