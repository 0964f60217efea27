"""A large dataset of shards is looked at by a sample, before all of it is read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from distill.modalities.images.shards.sampling import chosen
from store.objects import ObjectStore
from store.settings import Settings
from store.tables import Dataset
from worker.inspecting.shard_list import ShardList
from worker.inspecting.streams import Reads, Stream
from worker.processes import scratch

log = logging.getLogger(__name__)
SAMPLE = "sample"
"""In `Dataset.reading`: what `distill.modalities.images.shards.sampling.sampled` has found; in `Dataset.shards`, as
`inspection`: that the inspection ends there."""


def only(row: Dataset) -> bool:
    """Whether no more than a sample is asked for."""
    return (row.shards or {}).get("inspection") == SAMPLE


def answered(
    settings: Settings, objects: ObjectStore, row: Dataset, shards: ShardList, command: Sequence[str],
    check: Callable[[], None],
) -> dict[str, Any]:  # fmt: skip
    """An inspector's answer on some of the shards. Raises what `check` raises."""
    with scratch.folder(settings.scratch, f"{row.id}-sample", row.attempt) as folder:
        reads = Reads(sample=chosen(shards.counted))
        stream = Stream(settings, objects, row, folder, check, shards, reads)
        answer = stream.answer(command, SAMPLE)
    log.info("%s: %d of its shards were read", row.id, len(reads.sample))
    return answer
