"""One pass over the images of a split: which can be read, how large they are, and what is in them. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.data.limits import Limits
from distill.modalities.images.sources import Head, Source, UnreadableImage, finished, opened, peak


@dataclass
class Scan:
    """Looks at every image when it is made. `good`: positions of the images that are kept, and of each of these
    `sizes`, (height, width), `gray` and `digests`; `corrupt`: name -> why an image cannot be read; `peaks`: largest
    values of 16-bit images; `verified`: how many images were decoded, within `limits.verify_pixels`, and not only had
    their headers read."""

    images: Source
    limits: Limits
    good: list[int] = field(default_factory=list, init=False)
    sizes: list[tuple[int, int]] = field(default_factory=list, init=False)
    gray: list[bool] = field(default_factory=list, init=False)
    digests: list[bytes] = field(default_factory=list, init=False)
    corrupt: dict[str, str] = field(default_factory=dict, init=False)
    peaks: list[int] = field(default_factory=list, init=False)
    verified: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._budget = self.limits.verify_pixels
        self.look()

    def look(self) -> None:
        """At all images, one by one."""
        for i in range(len(self.images)):
            try:
                self.one(i)
            except UnreadableImage as error:
                self.corrupt[self.images.name(i)] = str(error)
                self.lost(i)

    def one(self, i: int) -> None:
        """Look at image i, and `keep` it. Raises `UnreadableImage`."""
        raise NotImplementedError

    def lost(self, i: int) -> None:
        """Image i cannot be read."""

    def seen(self, i: int) -> tuple[bytes, Head, Image.Image | None]:
        """Content and head of image i, and the decoded image as long as the budget lasts. Raises `UnreadableImage`."""
        data = self.images.content(i)
        image, head = opened(data, self.images.name(i), self.limits.pixels)
        if self._budget <= 0:
            return data, head, None
        self._budget -= head.height * head.width
        if (brightest := peak(image)) is not None:
            self.peaks.append(brightest)
        decoded = finished(image, self.images.between)
        self.verified += 1
        return data, head, decoded

    def keep(self, i: int, head: Head, digest: bytes) -> None:
        self.good.append(i)
        self.sizes.append((head.height, head.width))
        self.gray.append(head.gray)
        self.digests.append(digest)

    @property
    def shapes(self) -> NDArray[np.int64]:
        """(n, 2): height and width of the kept images."""
        return np.array(self.sizes, np.int64).reshape(-1, 2)
