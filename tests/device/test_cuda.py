"""On a real CUDA device: whole runs of every recipe and task, and steps that do not wait (`scripts/gpu-check`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from distill import recipes, tasks
from distill.training.loop import Loop
from distill.training.training import Training
from tests.device.test_steps import SETTINGS
from tests.tasks.house import House, go

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
Get = Callable[[str], House]


def first_loss(events: list[Any]) -> float:
    return next(e.data["values"]["loss"] for e in events if e.kind == "metrics" and e.data["split"] == "train")


@pytest.mark.parametrize("recipe", recipes.names())
def test_a_run_on_the_device_begins_as_one_on_the_host(recipe: str, house: Get, tmp_path: Path) -> None:
    made = house("classify_images")
    both = [go(made.spec(recipe=recipe, device=device), tmp_path / device) for device in ("cpu", "cuda")]
    assert [events[-1].kind for events in both] == ["done", "done"]
    host, device = map(first_loss, both)
    assert device == pytest.approx(host, rel=0.02)


@pytest.mark.parametrize("name", tasks.names())
def test_every_task_ends_on_the_device(name: str, house: Get, tmp_path: Path) -> None:
    spec = house(name).spec(recipe="feature_logit", device="cuda", precision="auto", channels_last="auto")
    assert go(spec, tmp_path)[-1].kind == "done"
    report = json.loads((tmp_path / "artifacts" / "report.json").read_text())
    assert report["environment"]["device"].startswith("cuda")


@pytest.mark.parametrize("recipe", ["cross_entropy", "feature_only", "feature_logit", "logit", "simkd", "crd"])
def test_a_step_does_not_wait(
    recipe: str, house: Get, tmp_path: Path, reached: Callable[[Any, Path], Training]
) -> None:
    """What torch itself calls a wait is an error meanwhile."""
    training = reached(house("classify_images").spec(recipe=recipe, device="cuda", **SETTINGS), tmp_path)
    loop = Loop(training)
    batches = list(islice(training.training_source.epoch(0), 4))
    loop._step(batches[:2])  # what is made once is made
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        loop._step(batches[2:])
    finally:
        torch.cuda.set_sync_debug_mode("default")
