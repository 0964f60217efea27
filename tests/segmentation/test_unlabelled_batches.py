"""Batches of which no pixel has a class: they weigh nothing, and they spoil nothing."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from distill.types import TeacherInput
from tests.segmentation import shapes
from tests.tasks.house import go, trained


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> shapes.DatasetInput:
    """Of ten training images nine have one labelled pixel, which most crops do not see."""
    content = shapes.files(8, "test", 100) | {"classes.txt": "\n".join(shapes.CLASSES).encode()}
    for number in range(20):
        rgb, mask = shapes.picture(number, void=False)
        if number % 10:
            mask[:] = 255
            mask[0, 0] = number % 3
        content |= {f"train/images/{number}.png": shapes.png(rgb), f"train/masks/{number}.png": shapes.png(mask)}
    return shapes.archive(tmp_path_factory.mktemp("unlabelled"), content)


@pytest.fixture(scope="module")
def teacher(dataset: shapes.DatasetInput, tmp_path_factory: pytest.TempPathFactory) -> TeacherInput:
    return trained(shapes.run_spec(dataset, epochs=1), tmp_path_factory.mktemp("teacher"), len(shapes.CLASSES))


@pytest.mark.parametrize(
    ("recipe", "parameters"),
    [("feature_only", {}), ("feature_only", {"feature_loss": "channel_wise"}), ("feature_logit", {}), ("logit", {})],
)
def test_training_goes_on(
    recipe: str, parameters: dict[str, str], dataset: shapes.DatasetInput, teacher: TeacherInput, tmp_path: Path
) -> None:
    layers = {"teacher_layers": ["decoder"], "student_layers": ["decoder"]} if recipe != "logit" else {}
    spec = shapes.run_spec(
        dataset, recipe, recipe_parameters=parameters, batch_size=2, augmentation="crop_flip", epochs=3, **layers
    )
    events = go(spec.model_copy(update={"teacher": teacher}), tmp_path)
    assert events[-1].kind == "done"
    values = itertools.chain.from_iterable(e.data["values"].values() for e in events if e.kind == "metrics")
    assert all(np.isfinite(value) for value in values if value is not None)
