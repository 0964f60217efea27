"""What identifies a registered dataset by its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any


def dataset_digest(
    files: Mapping[str, Mapping[str, Any]], pixel_range: Sequence[int] | None, box_format: str = "",
    shards: Mapping[str, Any] | None = None,
) -> str:  # fmt: skip
    """sha256, hex, over role and sha256 of every file, and what was told of how they are read: the range of 16-bit
    images, the form of boxes, the classes of tars (`Dataset.shards`)."""
    lines = "".join(f"{role} {files[role]['sha256']}\n" for role in sorted(files))
    if pixel_range is not None:
        lines += f"pixel_range {' '.join(map(str, pixel_range))}\n"
    if box_format:
        lines += f"box_format {box_format}\n"
    if shards is not None:
        lines += f"classes {json.dumps([shards['classes_from'], shards['classes']])}\n"
    return hashlib.sha256(lines.encode()).hexdigest()
