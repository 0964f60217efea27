"""Training, validation and scoring of every recipe and task with everything on a device that is not the host's."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from distill import recipes, tasks
from distill.control import Control
from distill.quality import score
from distill.running.scoring import scored_layers
from distill.running.session import Session
from distill.training.loop import Loop
from distill.training.training import Training
from tests.device.accelerator import DEVICE, watching
from tests.device.allowed import IN_A_STEP, IN_EVALUATION, IN_VALIDATION
from tests.tasks.house import House
from tests.tasks.test_house import NOW

Get = Callable[[str], House]
SETTINGS = {"gradient_accumulation": 2, "ema_decay": 0.9, "cache_teacher": False, "compile": False}


def on_device(training: Training) -> Loop:
    """The loop of the same run with its networks on the device and its samples delivered there."""
    training.device = training.targets.teacher.device = DEVICE
    training.recipe.to(DEVICE)
    if training.recipe.teacher is not None:
        training.recipe.teacher.to(DEVICE)
    loop = Loop(training)
    for group in loop.optimizer.param_groups:
        group["fused"] = False  # torch's fused kernels know no meta device
    return loop


def _now(recipe: str, name: str) -> bool:
    """Every recipe once, on pictures of one class; of the other tasks the recipe that has every kind of term."""
    return name == "classify_images" or recipe == "feature_logit" or NOW.get(recipe) == name


CASES = [
    pytest.param(recipe, name, marks=() if _now(recipe, name) else pytest.mark.slow)
    for name in tasks.names()
    for recipe in (tasks.spec(name).recipes or recipes.names())
    if recipe in recipes.names()
]


@pytest.mark.parametrize(("recipe", "name"), CASES)
def test_steps_and_validation_stay_on_the_device(
    recipe: str, name: str, house: Get, tmp_path: Path, reached: Callable[[Any, Path], Training]
) -> None:
    training = reached(house(name).spec(recipe=recipe, **SETTINGS), tmp_path)
    with watching() as watched:
        loop = on_device(training)
        batches = list(islice(training.training_source.epoch(0), 2))
        _ = training.validation_source  # made once a run, not once a validation
        loop.recipe.train()
        with watched.noting() as step:
            loop._step(batches)
        with watched.noting() as validation:
            loop._validation(None)
    assert not step.mixed
    assert not validation.mixed
    assert set(step.waits) <= IN_A_STEP.keys()
    assert set(validation.waits) <= IN_A_STEP.keys() | IN_VALIDATION.keys()


@pytest.mark.parametrize("name", tasks.names())
def test_scoring_stays_on_the_device(name: str, house: Get, tmp_path: Path) -> None:
    """The curve's figures are read off the device layer by layer; no sample and no feature is."""
    session = Session.open(house(name).spec(recipe="feature_only"), tmp_path, Control())
    teaching = session.teachings[0]
    groups = teaching.groups
    if isinstance(groups, str):
        pytest.skip(groups)
    layers = scored_layers(teaching, groups)[:2]
    with watching() as watched:
        teaching.network.module.to(DEVICE)
        with watched.noting() as found:
            points = list(score(teaching.network.module, layers, groups.batches, groups.labels, 100, view=groups.view))
    assert [point.name for point in points] == [layer.name for layer in layers]
    assert not found.mixed


@pytest.mark.parametrize("name", tasks.names())
def test_the_final_evaluation_stays_on_the_device(name: str, house: Get, tmp_path: Path) -> None:
    """The answers on the test samples, which are read off the device batch by batch: what the report is made of."""
    task = Session.open(house(name).spec(recipe="feature_only"), tmp_path, Control()).task
    network = task.student
    with watching() as watched:
        task.device = DEVICE
        network.module.to(DEVICE)
        with watched.noting() as found:
            task.predict(network)
    assert not found.mixed
    assert found.waits  # the answers come from the device
    assert set(found.waits) <= IN_A_STEP.keys() | IN_VALIDATION.keys() | IN_EVALUATION.keys()
