"""The estimate counts what the run does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from distill import recipes
from distill.control import Control
from distill.estimate import NetworkCost, SampleWork, Workload, disk_bytes, memory_bytes
from distill.recipe_parts.memory import Memory
from distill.train import train
from distill.training import optimizers
from distill.training.loop import Loop
from distill.training.plan import Descent
from distill.types import DistillConfig
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


@pytest.mark.parametrize("name", ["sgd", "adamw", "lion", "adan", "adafactor"])
def test_the_state_of_an_optimizer_is_what_it_keeps_of_the_parameters(name: str) -> None:
    weight = torch.nn.Parameter(torch.randn(96, 96))
    made = optimizers.make([{"params": [weight]}], name, Descent(0.01, 0.3, 0.9 if name == "sgd" else None))
    weight.grad = torch.randn(96, 96)
    made.step()
    kept = sum(value.numel() for value in made.state[weight].values() if isinstance(value, torch.Tensor))
    assert optimizers.facts(name).kept(DistillConfig(optimizer=name)) == pytest.approx(kept / 96**2, abs=0.02)


def test_memory_and_disk_follow_what_optimizer_and_recipe_keep() -> None:
    cost = NetworkCost(1_000_000, 1_000, 8, 1)
    config = DistillConfig(batch_size=10, quality_samples=100)
    work = Workload(config, cost, cost, True, 1000, 16, 10, SampleWork(1))
    less = replace(work, optimizer_state=1.0)
    assert memory_bytes(work) - memory_bytes(less) == 4_000_000
    assert disk_bytes(work) - disk_bytes(less) == 16_000_000  # two checkpoints, each in both places
    assert optimizers.facts("sgd").kept(DistillConfig(optimizer="sgd", momentum=0)) == 0
    remembering = replace(work, remembered=256)
    assert disk_bytes(remembering) - disk_bytes(work) == 4 * 4 * 256 * 1000
    assert memory_bytes(remembering) - memory_bytes(work) > 4 * 256 * 1000


def test_memory_of_scoring_is_that_of_two_matrices_or_of_a_strip_within_the_budget() -> None:
    def scoring(samples: int, mib: int) -> int:
        config = DistillConfig(quality_samples=samples, quality_memory_bytes=mib * 2**20)
        work = Workload(config, COST, COST, True, 10**6, 0, 0, SampleWork(0, features=1000))
        return memory_bytes(work) - memory_bytes(replace(work, needs_layers=False))

    assert scoring(5000, 2048) == pytest.approx(16 * 5000**2 + 4 * 5000 * 1000, abs=10_000)
    assert 4 * 50_000 * 1000 < scoring(50_000, 2048) < 4 * 50_000 * 1000 + 2**28
    assert scoring(50_000, 400) == pytest.approx(400 * 2**20, abs=10_000)


@pytest.mark.parametrize("name", recipes.without("needs_regions"))
def test_what_a_recipe_remembers_is_told_without_importing_it(name: str) -> None:
    told = recipes.remembered(name, {})
    assert (told > 0) == recipes.needs_index(name)
    if name == "crd":
        banks = [Memory(range(10), 32, 0.5).bank.numel() for _ in "st"]
        assert recipes.remembered(name, {"width": 32}) * 10 == sum(banks)
