"""What an untrusted dataset may be at most."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps; a dataset beyond one of them is refused with `InvalidDataset`.

    `file_bytes` is for each file, `json_bytes` for those that end on `.json`: one may hold the boxes of all images
    (COCO's have 450 MB). `ratio`: unpacked / packed bytes, of the whole archive and of each member above
    `ratio_free_bytes` (photographs compress by less than 2). `corrupt_fraction`: share of unreadable images up to which
    they are left out and named in the notes; beyond it the dataset is refused. `verify_pixels`: how many pixels are
    decoded in search of truncated images; beyond it only headers are checked. `cache_bytes`: how much RAM decoded small
    images may take a split.
    """

    members: int = 3_000_000
    path_length: int = 1024
    path_depth: int = 32
    file_bytes: int = 64 * 2**20
    json_bytes: int = 2**30
    total_bytes: int = 512 * 2**30
    ratio: float = 200.0
    ratio_free_bytes: int = 2**20
    directory_bytes: int = 512 * 2**20
    row_group_bytes: int = 2 * 2**30
    pixels: int = 50_000_000
    classes: int = 100_000
    corrupt_fraction: float = 0.01
    verify_pixels: int = 500_000_000
    cache_bytes: int = 2 * 2**30


DEFAULT = Limits()
