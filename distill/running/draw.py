"""Which training samples a teacher's Q curve was computed on, by name: to look at them, or to draw them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distill.tasks.base import Groups, Task
from distill.types import QCurve

SCHEMA = 1


def draw_of(task: Task, groups: Groups, curve: QCurve) -> dict[str, Any]:
    """As JSON. `rows`: of each row of the curve's matrices, in their order, `position` (of its sample in the dataset's
    training split, from 0), `sample` (its file, the key of its shard, or how its text begins; "" where it has no name)
    and `group` (the class, or the cluster; its number from 0 where nothing has a name); `digest`, `seed`, `train_size`
    and `grouping` as the curve has them."""
    positions = groups.sample if groups.rows is None else groups.sample[groups.rows]
    names: Sequence[str] = groups.names or task.classes or tuple(map(str, range(groups.groups)))
    called = {position: task.called(position) for position in set(positions.tolist())}
    rows = [
        {"position": position, "sample": called[position], "group": names[label]}
        for position, label in zip(positions.tolist(), groups.labels.tolist(), strict=True)
    ]
    told = {key: getattr(curve, key) for key in ("digest", "seed", "train_size", "grouping")}
    return {"schema": SCHEMA} | told | {"rows": rows}
