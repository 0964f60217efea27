"""What identifies a registered dataset by its files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any


def dataset_digest(files: Mapping[str, Mapping[str, Any]], pixel_range: Sequence[int] | None) -> str:
    """sha256, hex, over role and sha256 of every file, and the range in which 16-bit images are read, if given."""
    lines = "".join(f"{role} {files[role]['sha256']}\n" for role in sorted(files))
    if pixel_range is not None:
        lines += f"pixel_range {' '.join(map(str, pixel_range))}\n"
    return hashlib.sha256(lines.encode()).hexdigest()
