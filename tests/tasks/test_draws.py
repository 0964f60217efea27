"""Every task that scores says by name which training samples its Q curve was computed on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill import tasks
from distill.control import Control
from distill.running.draw import draw_of
from distill.running.scoring import frame_of, scored_layers
from distill.running.session import Session
from tests.tasks.house import House
from tests.tasks.test_house import OWN

Get = Callable[[str], House]
NAMED_ANEW: dict[str, Callable[[Any, int], set[str]]] = {
    "classify_images": lambda task, at: {task.classes[int(task.dataset.train.labels[at])]},
    "classify_text": lambda task, at: {task.classes[int(task.dataset.train.labels[at])]},
    "generate_text": lambda task, at: {task.classes[int(task.dataset.train.labels[at])]},
    "tag_images": lambda task, at: {task.classes[i] for i in np.flatnonzero(task.dataset.train.labels[at].numpy())},
    "detect_objects": lambda task, at: {task.classes[i] for i in task.dataset.train.boxes(at).classes.tolist()},
}
"""Task -> the classes that the sample at a position of the training split has, by its labels. Masks are
looked at in `tests/segmentation/test_run.py`: those here have too few regions for a curve."""


def drawn(house: House, folder: Path, **changes: Any) -> tuple[Session, dict[str, Any]]:
    session = Session.open(house.spec(recipe="feature_only", **changes), folder, Control())
    teaching = session.teachings[0]
    groups = teaching.groups
    assert not isinstance(groups, str), groups
    frame = frame_of(session, teaching, groups, scored_layers(teaching, groups))
    draw = draw_of(session.task, groups, frame)
    assert len(draw["rows"]) == frame.samples
    assert (draw["digest"], draw["seed"], draw["train_size"]) == (frame.digest, frame.seed, frame.train_size)
    return session, json.loads(json.dumps(draw))


def test_every_task_is_looked_at() -> None:
    assert {*NAMED_ANEW, "segment_images"} == set(tasks.names()) - {OWN}


@pytest.mark.parametrize("name", NAMED_ANEW)
def test_every_row_names_its_sample_and_its_class(name: str, house: Get, tmp_path: Path) -> None:
    """Against the labels of the dataset; and the same again for the same seed."""
    session, draw = drawn(house(name), tmp_path / "a")
    task = session.task
    train = set(task.splits.train.tolist())
    for row in draw["rows"]:
        assert row["position"] in train
        assert row["group"] in NAMED_ANEW[name](task, row["position"]) | {"background"}
        assert row["sample"] == task.called(row["position"]) != ""
    assert len({row["group"] for row in draw["rows"]} - {"background"}) > 1
    assert drawn(house(name), tmp_path / "b")[1] == draw


def test_clusters_are_groups_where_labels_are_not(house: Get, tmp_path: Path) -> None:
    _, draw = drawn(house("classify_images"), tmp_path, pseudo_classes=3)
    assert draw["grouping"] == "pseudo_classes"
    assert {row["group"] for row in draw["rows"]} == {f"cluster {number}" for number in range(3)}
