"""Some shards of a dataset read before all of them: what it seems to be, and a mistake of all shards within minutes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distill.modalities.images.shards.checks import Checks
from distill.modalities.images.shards.index import joined
from distill.modalities.images.shards.places import Places
from distill.modalities.images.shards.plan import Plan
from distill.modalities.images.shards.reading import ROWS, read_shards

MOST_SHARDS, MOST_BYTES = 16, 2 * 2**30
"""Of a sample: so many shards, and no more bytes of them than that; one shard at least."""
WORTH = 8
"""A dataset of fewer times as many bytes as its sample is read whole at once."""
SHOWN_CLASSES = 100


def chosen(sizes: Sequence[int]) -> list[int]:
    """Numbers of the sample's shards, of all that have `sizes` (bytes): spread evenly, from the first to the last."""
    for count in range(min(MOST_SHARDS, len(sizes)), 1, -1):
        numbers = [place * (len(sizes) - 1) // (count - 1) for place in range(count)]
        if sum(sizes[number] for number in numbers) <= MOST_BYTES:
            return numbers
    return [0]


def is_worth(sizes: Sequence[int]) -> bool:
    """Whether the dataset is so much larger than its sample that the sample is read first."""
    return sum(sizes) >= WORTH * sum(sizes[number] for number in chosen(sizes))


def sampled(plan: Plan, numbers: Sequence[int], places: Places, scratch: Path | None) -> dict[str, Any]:
    """Read some shards whole, in their order. What they hold, and what all would hold if the others were like them
    (`estimated_...`: mean of a shard, times shards). `classes`: by the labels that were seen, where none was by the
    folders. Raises the first problem that it meets."""
    shards, _, error = read_shards(plan, numbers, places, scratch)
    if error is not None:
        raise error
    rows = joined([ROWS.empty_table(), *(each.rows for each in shards)])
    sizes = [each.shard.size_bytes for each in shards if each.shard is not None]
    readable = rows.column("reason").to_numpy() == ""
    of_all = len(plan.names) / len(numbers)
    classes = _classes(plan, numbers, [each.rows for each in shards], [each.classes for each in shards])
    return {
        "shards": len(numbers), "of_shards": len(plan.names), "bytes": sum(sizes), "images": len(rows),
        "estimated_bytes": round(sum(sizes) * of_all), "estimated_images": round(len(rows) * of_all),
        "unreadable": int((~readable).sum()), "labelled": len(rows) - rows.column("said").null_count,
        "class_count": len(classes), "classes": classes[:SHOWN_CLASSES],
        "heights": _spread(rows.column("height").to_numpy()[readable]),
        "widths": _spread(rows.column("width").to_numpy()[readable]),
    }  # fmt: skip


def _classes(plan: Plan, numbers: Sequence[int], tables: Sequence[Any], named: Sequence[Any]) -> list[str]:
    checks = Checks(plan.class_list())
    seen: set[str] = set()
    folders: set[str] = set()
    for number, table, classes in zip(numbers, tables, named, strict=True):
        checks.shard(plan.names[number], classes)
        columns = (table.column(name).to_pylist() for name in ("key", "said", "split"))
        for key, said, split in zip(*columns, strict=True):
            label = checks.sample(key, said, split)
            seen |= {label} if label is not None else set()
            folders |= {key.split("/")[-2]} if "/" in key else set()
    return sorted(seen or (folders if plan.classes_from != "none" else ()))


def _spread(values: Any) -> list[int] | None:
    """Minimum, median and maximum; None of no image."""
    return [int(values.min()), int(np.median(values)), int(values.max())] if len(values) else None
