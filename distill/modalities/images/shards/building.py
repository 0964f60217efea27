"""The index of a dataset of shards, made in one go: each shard is read once, by one process or by several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from distill.data.limits import Limits
from distill.errors import RetortError
from distill.modalities.images.shards import origin, part_file
from distill.modalities.images.shards.class_list import class_list
from distill.modalities.images.shards.index import Index
from distill.modalities.images.shards.merging import merged
from distill.modalities.images.shards.places import Named
from distill.modalities.images.shards.plan import Plan, plan_of
from distill.modalities.images.shards.reading import Part, read_part
from distill.modalities.images.shards.spans import UNKNOWN_BYTES, Span, spans
from distill.types import ClassesFrom

PARTS_A_PROCESS = 4
"""So that a process which got small shards, or a fast disk, takes another part."""


def build_index(
    roles: Mapping[str, Sequence[str]], limits: Limits, scratch: Path | None, classes_from: ClassesFrom = "",
    processes: int = 1,
) -> Index:  # fmt: skip
    """Read every shard once, whole: sha256 of each shard and each image, the head of each image; and decode images as
    long as each shard's equal share of `limits.verify_pixels` lasts. `roles`: `all`, or `train` with or without
    `test` -> names of shards, which are paths or addresses. What numbers of labels mean a file beside the first shard
    says. `classes_from`: as in `DatasetInput`. `processes`: that read side by side; the index is the same. Raises
    `InvalidDataset`, `ShardUnavailable`."""
    classes = class_list([name for names in roles.values() for name in names]).names
    plan = plan_of(roles, limits, classes, classes_from)
    if min(processes, len(plan.names)) == 1:
        return merged(plan, [read_part(plan, (0, len(plan.names)), Named(), scratch)])
    with TemporaryDirectory(prefix="retort-parts-", dir=scratch) as folder:
        return merged(plan, _read_by(processes, plan, Path(folder)))


def _read_by(processes: int, plan: Plan, folder: Path) -> list[Part]:
    """All parts, or those up to the first that met a problem."""
    sizes = [_size(name) for name in plan.names]
    most = processes * PARTS_A_PROCESS
    wanted = spans(sizes, -(-sum(sizes) // most), most)
    parts: list[Part] = []
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        coming: list[Future[RetortError | None]] = [pool.submit(_read, plan, span, folder) for span in wanted]
        try:
            for span, future in zip(wanted, coming, strict=True):
                error = future.result()
                parts.append(replace(part_file.read(_path(folder, span)), error=error))
                if error is not None:
                    break
        finally:
            pool.shutdown(cancel_futures=True)
    return parts


def _read(plan: Plan, span: Span, folder: Path) -> RetortError | None:
    """In a process of its own."""
    part = read_part(plan, span, Named(), folder)
    part_file.write(part, _path(folder, span))
    return part.error


def _path(folder: Path, span: Span) -> Path:
    return folder / f"{span[0]}.part"


def _size(name: str) -> int:
    path = origin.local(name)
    return path.stat().st_size if path is not None and path.is_file() else UNKNOWN_BYTES
