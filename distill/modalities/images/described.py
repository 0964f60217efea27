"""What reports on any dataset of images say of the images. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

from distill.data.limits import Limits
from distill.data.split_names import TEST

VERIFY_PIXELS = 20_000_000_000
"""Decoded of a split's images when a dataset is registered."""
EVERY = 2**62
"""Pixels: more than there are."""
EXAMPLES = 20


class Images(Protocol):
    """A split: (height, width) (n, 2), whether each is grey (n), and a digest of each."""

    @property
    def sizes(self) -> NDArray[np.int64]: ...
    @property
    def gray(self) -> NDArray[np.bool_]: ...
    @property
    def digests(self) -> Sequence[bytes]: ...


class Described(TypedDict):
    """`heights`, `widths`: (minimum, median, maximum) in pixels. `modes`: how many images are grey and how many
    coloured. `corrupt`: how many cannot be read, `corrupt_examples` the first 20 with the reason.
    `duplicates_between_splits`: test images whose content is in another split too (they inflate scores)."""

    heights: tuple[int, int, int]
    widths: tuple[int, int, int]
    modes: dict[str, int]
    corrupt: int
    corrupt_examples: dict[str, str]
    duplicates_between_splits: int


def described(splits: Mapping[str, Images], corrupt: Mapping[str, str]) -> Described:
    """Of an opened dataset. `corrupt`: image -> why it cannot be read."""
    sizes = np.concatenate([split.sizes for split in splits.values()])
    gray = np.concatenate([split.gray for split in splits.values()])
    others = {digest for name, split in splits.items() if name != TEST for digest in split.digests}
    return {
        "heights": _spread(sizes[:, 0]),
        "widths": _spread(sizes[:, 1]),
        "modes": {"grey": int(gray.sum()), "colour": int((~gray).sum())},
        "corrupt": len(corrupt),
        "corrupt_examples": first(corrupt),
        "duplicates_between_splits": sum(digest in others for digest in splits[TEST].digests),
    }


def first(examples: Mapping[str, str]) -> dict[str, str]:
    """The first of them, as many as a report names."""
    return dict(list(examples.items())[:EXAMPLES])


def thorough(limits: Limits) -> Limits:
    """The limits of a registration, which decodes more than a run does."""
    return replace(limits, verify_pixels=max(limits.verify_pixels, VERIFY_PIXELS))


def decoding_all(limits: Limits) -> Limits:
    """The limits of a registration that decodes every image."""
    return replace(limits, verify_pixels=EVERY)


def _spread(values: Any) -> tuple[int, int, int]:
    return int(values.min()), int(np.median(values)), int(values.max())
