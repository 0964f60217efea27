"""Where a split's images are, and how one is decoded. Torch-free; every source can be sent to a worker process."""

from __future__ import annotations

import io
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from distill.data.limits import DEFAULT
from distill.errors import InvalidDataset
from distill.modalities.images import jpeg
from distill.modalities.images.depth import PixelRange, to_bytes
from distill.modalities.images.formats import FORMATS, unread
from distill.modalities.images.known import Known
from distill.modalities.images.reduced import Decoded, Reducing, as_it_is, whole

_TILE_SIDES = (322, 323)  # TileWidth, TileLength
_GRAY = frozenset({"1", "L"})
_SIXTEEN_BIT = frozenset({"I", "I;16", "I;16B", "I;16L"})


class UnreadableImage(Exception):
    """One image that cannot be decoded; whether that is an error is the dataset's threshold's to say."""


@dataclass(frozen=True, slots=True)
class Head:
    """An image's height, width and mode, known before any pixel is decoded."""

    height: int
    width: int
    mode: str

    @property
    def gray(self) -> bool:
        return self.mode in _GRAY or self.mode in _SIXTEEN_BIT


class Source(ABC):
    """Images by position."""

    between: PixelRange | None = None
    """Which values of 16-bit grey become 0 and 255; None: the upper byte is kept."""

    def scale(self, between: PixelRange | None) -> None:
        """Read 16-bit grey in this range from now on."""
        self.between = between

    def known(self) -> Known | None:
        """What an index says of the images, in their order; None where there is none."""
        return None

    def fetch(self, group: int) -> None:
        """Bring the images of a group of `known` to this machine, where they are not there. Here they are."""
        return

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def name(self, i: int) -> str:
        """What a user knows the image by."""

    @abstractmethod
    def content(self, i: int) -> bytes:
        """What identifies the image: its encoded bytes, or its pixels with their shape."""

    def start(self, i: int, count: int) -> bytes:
        """The first bytes of `content`, at most `count`. Raises `UnreadableImage`."""
        return self.content(i)[:count]

    @abstractmethod
    def image(self, i: int) -> Image.Image:
        """Decoded, mode L or RGB. Raises `UnreadableImage`, and `InvalidDataset` for a decompression bomb."""

    def decoded(self, i: int, reducing: Reducing = whole) -> Decoded:
        """The pixels of `image`, smaller where `reducing` allows it and that saves time. Raises as `image` does."""
        return as_it_is(np.asarray(self.image(i)))


class Encoded(Source):
    """Images that are encoded files somewhere."""

    def image(self, i: int) -> Image.Image:
        return decode(self.content(i), self.name(i), between=self.between)

    def decoded(self, i: int, reducing: Reducing = whole) -> Decoded:
        data = self.content(i)
        found = jpeg.decoded(data, DEFAULT.pixels, reducing)
        return found or as_it_is(np.asarray(decode(data, self.name(i), between=self.between)))


def opened(data: bytes, name: str, pixels: int = DEFAULT.pixels) -> tuple[Image.Image, Head]:
    """The image with only its header read, and its head."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        head = Head(image.height, image.width, image.mode)
    except Image.DecompressionBombError as error:
        raise _bomb(name, pixels) from error
    except UnidentifiedImageError as error:
        raise UnreadableImage(unread(data) or "its content is no image that is read") from error
    except Exception as error:  # Pillow's parsers raise nearly anything on hostile bytes
        raise UnreadableImage(unread(data) or f"{type(error).__name__}: {error}"[:200]) from error
    if max(head.height * head.width, _tile(image)) > pixels:
        raise _bomb(name, pixels)
    if head.height == 0 or head.width == 0:
        raise UnreadableImage("it has no pixels")
    return image, head


def _tile(image: Image.Image) -> int:
    """Pixels of a tile of a TIFF, 0 where it has none: one pixel may lie in a tile of gigabytes, decoded whole."""
    sides = [getattr(image, "tag_v2", {}).get(tag, 0) for tag in _TILE_SIDES]
    return prod(side if isinstance(side, int) else 0 for side in sides)


def peak(image: Image.Image) -> int | None:
    """The largest value of an image of 16-bit grey, None for other images. Raises `UnreadableImage`."""
    if image.mode not in _SIXTEEN_BIT or (image.mode == "I" and image.format == "TIFF"):
        return None
    try:
        return int(np.asarray(image).max())
    except Exception as error:
        raise UnreadableImage(f"{type(error).__name__}: {error}"[:200]) from error


def decode(data: bytes, name: str, pixels: int = DEFAULT.pixels, between: PixelRange | None = None) -> Image.Image:
    """The image as L (grey) or RGB; transparency is dropped, 16-bit grey is read as `to_bytes` does, EXIF is not
    applied."""
    image, _ = opened(data, name, pixels)
    return finished(image, between)


def finished(image: Image.Image, between: PixelRange | None = None) -> Image.Image:
    """Pixels decoded and converted to L or RGB. Raises `UnreadableImage`, also for floating point and 32-bit pixels:
    what is black and what is white there is for their owner to say."""
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        raise UnreadableImage("it has floating point or 32-bit pixels; write it with 8 or 16 bits")
    try:
        if image.mode in _SIXTEEN_BIT:
            return Image.fromarray(to_bytes(np.asarray(image), between))
        image.load()
        return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode in _GRAY else "RGB")
    except Exception as error:
        raise UnreadableImage(f"{type(error).__name__}: {error}"[:200]) from error


def _bomb(name: str, pixels: int) -> InvalidDataset:
    return InvalidDataset(
        f"Image {name!r} would have more than {pixels:,} pixels.",
        "Scale it down, or remove it.",
        {"image": name, "pixels": pixels},
    )


class FileImages(Encoded):
    """One file an image."""

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        self.root, self.paths = root, paths

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, i: int) -> str:
        return self.paths[i]

    def content(self, i: int) -> bytes:
        return self.start(i, -1)

    def start(self, i: int, count: int) -> bytes:
        try:
            with (self.root / self.paths[i]).open("rb") as file:
                return file.read(count)
        except OSError as error:
            raise UnreadableImage(str(error)) from error


class SpanImages(Encoded):
    """Spans of one file, or of one buffer in memory: a tar read in place, or what `pack` wrote."""

    def __init__(self, data: Path | bytes, offsets: Sequence[int], sizes: Sequence[int], names: Sequence[str]) -> None:
        self.data, self.names = data, names
        self.offsets, self.sizes = np.asarray(offsets, np.int64), np.asarray(sizes, np.int64)
        self._file: Any = None
        self.keep: Any = None  # whatever must live as long as the bytes do

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None, "keep": None}

    def __len__(self) -> int:
        return len(self.names)

    def name(self, i: int) -> str:
        return self.names[i]

    def content(self, i: int) -> bytes:
        return self.start(i, int(self.sizes[i]))

    def start(self, i: int, count: int) -> bytes:
        start, size = int(self.offsets[i]), min(count, int(self.sizes[i]))
        if isinstance(self.data, bytes):
            return self.data[start : start + size]
        if self._file is None:
            self._file = self.data.open("rb")
        self._file.seek(start)
        return bytes(self._file.read(size))


class ZipImages(Encoded):
    """Members of a zip file, read in place."""

    def __init__(self, path: Path, members: Sequence[str]) -> None:
        self.path, self.members = path, members
        self._zip: zipfile.ZipFile | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_zip": None}

    def __len__(self) -> int:
        return len(self.members)

    def name(self, i: int) -> str:
        return self.members[i]

    def content(self, i: int) -> bytes:
        return self.start(i, -1)

    def start(self, i: int, count: int) -> bytes:
        if self._zip is None:
            self._zip = zipfile.ZipFile(self.path)
        try:
            # Never more than the size that the member loop has admitted: zipfile stops there and checks the CRC.
            with self._zip.open(self.members[i]) as file:
                return file.read(count)
        except Exception as error:
            raise UnreadableImage(f"{type(error).__name__}: {error}"[:200]) from error


class ArrayImages(Source):
    """Pixels in memory: uint8 (n, h, w) or (n, h, w, 3)."""

    def __init__(self, pixels: NDArray[np.uint8], label: str) -> None:
        self.pixels, self.label = pixels, label

    def __len__(self) -> int:
        return len(self.pixels)

    def name(self, i: int) -> str:
        return f"{self.label}[{i}]"

    def content(self, i: int) -> bytes:
        data: bytes = self.pixels[i].tobytes()
        return data

    def image(self, i: int) -> Image.Image:
        return Image.fromarray(self.pixels[i])

    def decoded(self, i: int, reducing: Reducing = whole) -> Decoded:
        return as_it_is(self.pixels[i])


class Picked(Source):
    """Some of another source's images, in the order of `indices`."""

    def __init__(self, source: Source, indices: NDArray[np.int64]) -> None:
        self.source, self.indices = source, indices

    def scale(self, between: PixelRange | None) -> None:
        self.source.scale(between)

    def known(self) -> Known | None:
        known = self.source.known()
        return None if known is None else known.pick(self.indices)

    def fetch(self, group: int) -> None:
        self.source.fetch(group)

    def __len__(self) -> int:
        return len(self.indices)

    def name(self, i: int) -> str:
        return self.source.name(int(self.indices[i]))

    def content(self, i: int) -> bytes:
        return self.source.content(int(self.indices[i]))

    def start(self, i: int, count: int) -> bytes:
        return self.source.start(int(self.indices[i]), count)

    def image(self, i: int) -> Image.Image:
        return self.source.image(int(self.indices[i]))

    def decoded(self, i: int, reducing: Reducing = whole) -> Decoded:
        return self.source.decoded(int(self.indices[i]), reducing)


class Nothing(Source):
    """No images."""

    def __len__(self) -> int:
        return 0

    def name(self, i: int) -> str:
        raise IndexError(i)

    def content(self, i: int) -> bytes:
        raise IndexError(i)

    def image(self, i: int) -> Image.Image:
        raise IndexError(i)


class Joined(Source):
    """The images of one source, then those of another."""

    def __init__(self, first: Source, second: Source) -> None:
        self.first, self.second = first, second

    def scale(self, between: PixelRange | None) -> None:
        self.between = between
        for part in (self.first, self.second):
            part.scale(between)

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def name(self, i: int) -> str:
        part, i = self._at(i)
        return part.name(i)

    def content(self, i: int) -> bytes:
        part, i = self._at(i)
        return part.content(i)

    def image(self, i: int) -> Image.Image:
        part, i = self._at(i)
        return part.image(i)

    def decoded(self, i: int, reducing: Reducing = whole) -> Decoded:
        part, i = self._at(i)
        return part.decoded(i, reducing)

    def _at(self, i: int) -> tuple[Source, int]:
        return (self.first, i) if i < len(self.first) else (self.second, i - len(self.first))
