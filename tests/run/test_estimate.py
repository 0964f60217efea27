"""The estimate counts what the run does."""

from __future__ import annotations

from pathlib import Path

import pytest

from distill.control import Control
from distill.estimate import NetworkCost, SampleWork, Workload
from distill.train import train
from distill.training.loop import Loop
from tests.training.conftest import config, tiny_data, tiny_recipe
from tests.training.test_resume import drain

COST = NetworkCost(1, 1, 8, 1)


@pytest.mark.parametrize(
    ("samples", "changes"),
    [
        (40, {"batch_size": 64, "epochs": 3}),
        (40, {"batch_size": 8, "gradient_accumulation": 4, "epochs": 1}),
        (40, {"batch_size": 8, "gradient_accumulation": 4, "epochs": 3}),
        (40, {"batch_size": 8, "epochs": 4, "max_steps": 7}),
        (44, {"batch_size": 8, "gradient_accumulation": 2, "epochs": 2, "max_steps": 5}),
    ],
)
def test_steps_samples_and_cache_as_the_run_has_them(
    samples: int, changes: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops = list[Loop]()
    made = Loop.__init__

    def remembering(loop: Loop, *given: object) -> None:
        loops.append(loop)
        made(loop, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Loop, "__init__", remembering)
    settings = config(**changes)
    drain(train(tiny_recipe(), tiny_data(train=samples), settings, tmp_path, Control()))
    (loop,) = loops
    work = Workload(settings, COST, COST, True, samples, 16, 10, SampleWork(1), 1)
    assert work.steps == loop.step
    assert work.samples_seen == loop.images
    assert work.cached == (loop.resolved.cache != "live")
