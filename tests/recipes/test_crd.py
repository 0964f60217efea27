"""Contrastive distillation against the arithmetic of its authors' code, and its memory across steps and attempts."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from distill import recipes
from distill.control import Control
from distill.errors import InvalidConfig
from distill.recipe_parts.base import Setup
from distill.recipe_parts.memory import Memory
from distill.recipes.crd import contrast
from distill.train import train
from distill.training import checkpoint
from tests.recipes.nets import STAGES, TinyCNN, images, labels, pair, shapes_of, targets_of
from tests.training.conftest import config, tiny_data
from tests.training.test_distributed import run_two
from tests.training.test_resume import drain, same


def naive(embedded: Tensor, bank: Tensor, picked: list[list[int]], z: float | None, t: float) -> tuple[float, float]:
    """RepDistiller's ContrastMemory and ContrastLoss, score by score: the loss and Z."""
    rows = [[math.exp(float(v @ bank[k]) / t) for k in ks] for v, ks in zip(embedded.double(), picked, strict=True)]
    z = z or sum(map(sum, rows)) / sum(map(len, rows)) * len(bank)
    noise, total = (len(picked[0]) - 1) / len(bank), 0.0
    for positive, *negatives in rows:
        total += math.log(positive / z / (positive / z + noise + 1e-7))
        total += sum(math.log(noise / (p / z + noise + 1e-7)) for p in negatives)
    return -total / len(rows), z


def moved(bank: Tensor, rows: list[int], embedded: Tensor, momentum: float) -> Tensor:
    bank = bank.clone()
    for row, v in zip(rows, embedded, strict=True):
        mixed = momentum * bank[row] + (1 - momentum) * v
        bank[row] = mixed / mixed.square().sum().sqrt()
    return bank


def test_loss_constant_and_memory_against_the_naive_reference() -> None:
    torch.manual_seed(0)
    memory = Memory([3, 5, 9, 10, 20], 4, 0.5).train()
    bank = memory.bank.double()
    bound = 1 / math.sqrt(4 / 3)
    assert bank.abs().max() <= bound
    z = None
    for index in ([9, 3], [20, 9]):
        rows = [[3, 5, 9, 10, 20].index(i) for i in index]
        picked = [[row, *torch.randint(5, (6,)).tolist()] for row in rows]
        v = F.normalize(torch.randn(2, 4))
        expected, z = naive(v, bank, picked, z, 0.07)
        found = contrast(memory.probabilities(v, torch.tensor(picked), 0.07), len(memory))
        assert float(found) == pytest.approx(expected, rel=1e-4)
        assert float(memory.normaliser) == pytest.approx(z, rel=1e-4)
        memory.remember(torch.tensor(index), v)
        bank = moved(bank, rows, v.double(), 0.5)
        torch.testing.assert_close(memory.bank.double(), bank, rtol=1e-5, atol=1e-6)


def test_the_recipe_contrasts_each_side_with_what_is_remembered_of_the_other() -> None:
    recipe = recipes.get("crd")(pair(TinyCNN(8), TinyCNN(12, seed=1)), negatives=20, contrast_weight=2.0).train()
    recipe.student.eval()
    before = {name: value.clone().double() for name, value in recipe.state_dict().items() if "memory" in name}
    targets = targets_of(recipe, images())
    torch.manual_seed(3)
    parts = recipe(images(), labels(), targets)
    torch.manual_seed(3)
    picked = [[i, *row] for i, row in enumerate(torch.randint(64, (6, 20)).tolist())]
    with torch.no_grad():
        s = F.normalize(recipe.student_embedding(recipe.student.stages(images()).mean((2, 3))))
        t = F.normalize(recipe.teacher_embedding(recipe.teacher.stages(images()).mean((2, 3))))
    one, _ = naive(s, before["teacher_memory.bank"], picked, None, 0.07)
    other, _ = naive(t, before["student_memory.bank"], picked, None, 0.07)
    assert float(parts["contrast"]) == pytest.approx(one + other, rel=1e-4)
    torch.testing.assert_close(parts["loss"].detach(), parts["cross_entropy"] + 2 * parts["contrast"])
    parts["loss"].backward()
    for name, embedded in (("student", s), ("teacher", t)):
        expected = moved(before[f"{name}_memory.bank"], list(range(6)), embedded.double(), 0.5)
        found = recipe.state_dict()[f"{name}_memory.bank"].double()
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_evaluating_remembers_nothing() -> None:
    recipe = recipes.get("crd")(pair(TinyCNN(8), TinyCNN(12, seed=1))).eval()
    before = {name: value.clone() for name, value in recipe.state_dict().items()}
    recipe(images(), labels(), targets_of(recipe, images()))
    assert same(before, recipe.state_dict())


def test_a_set_up_without_the_training_samples_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="remembers"):
        recipes.get("crd")(replace(pair(TinyCNN(8), TinyCNN(8)), indices=()))


def tiny() -> Any:
    """For 40 samples of 8 x 8 pixels and four classes."""
    torch.manual_seed(0)
    student, teacher = TinyCNN(4), TinyCNN(6, seed=1)
    shapes = (shapes_of(each, STAGES, images(2, 8)) for each in (student, teacher))
    setup = Setup(student, teacher, 5, STAGES, STAGES, *shapes, indices=range(40))
    return recipes.get("crd")(setup, negatives=30)


@pytest.mark.parametrize("cached", [True, False])
def test_a_resumed_run_continues_with_the_same_memory_bit_for_bit(tmp_path: Path, cached: bool) -> None:
    settings = config(epochs=2, cache_teacher=cached, gradient_accumulation=2, ema_decay=0.9)
    whole, first = tiny(), tiny()
    drain(train(whole, tiny_data(), settings, tmp_path / "a", Control()))
    control = Control()
    _, outcome = drain(train(first, tiny_data(), settings, tmp_path / "b", control), control, 3)
    assert outcome.ending == "handover"
    torch.manual_seed(99)
    second = tiny()
    newest = checkpoint.existing(tmp_path / "b")[-1]
    drain(train(second, tiny_data(), settings, tmp_path / "b", Control(), resume=newest))
    assert same(whole.state_dict(), second.state_dict())
    assert (whole.student_memory.bank.norm(dim=1) - 1).abs().max() < 1e-5  # every sample was seen


TOGETHER = """
import sys
from pathlib import Path
import torch
from distill.training import distributed, sharding
from tests.recipes.nets import images, labels
from tests.recipes.test_crd import tiny
torch.set_num_threads(1)
with distributed.group() as rank:
    recipe = tiny().train()
    recipe.student.eval()
    if sys.argv[2] == "shares":
        sharding.shard(recipe, recipe.student, device=torch.device("cpu"))
        sharding.shard(recipe.teacher, device=torch.device("cpu"))
    mine = slice(0, 5) if rank == 0 else slice(5, 8)  # shares of different sizes
    given = images(8, 8)[mine]
    index = torch.arange(20, 28)[mine]
    with distributed.whole_batch():
        recipe(given, labels(8)[mine], recipe.told(recipe.targets(given), index))["loss"].backward()
    torch.save(sharding.whole(dict(recipe.state_dict())), Path(sys.argv[1]) / f"{rank}.pt")
"""


@pytest.mark.parametrize("lying", ["whole", "shares"])
def test_all_processes_remember_all_samples(tmp_path: Path, lying: str) -> None:
    run_two(TOGETHER, [str(tmp_path), lying])
    states = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    assert same(*states)
    one = tiny().train()
    one.student.eval()
    one(images(8, 8), labels(8), one.told(one.targets(images(8, 8)), torch.arange(20, 28)))
    for name in ("student_memory.bank", "teacher_memory.bank"):
        torch.testing.assert_close(states[0][name], one.state_dict()[name], rtol=1e-5, atol=1e-6)
    assert states[0]["student_memory.normaliser"] > 0
