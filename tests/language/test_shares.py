"""Answers of different lengths in several batches or processes give the gradient of the one batch that they make up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distill.answers import ClassAnswer
from distill.control import Control
from distill.tasks.generate_text.answer import TokenAnswer
from distill.train import train
from distill.training.data import Order, TrainData
from tests.language import tiny
from tests.language.test_recipes import make
from tests.training.conftest import TinyBatch, config
from tests.training.test_distributed import run_two

NAMES = ("cross_entropy", "logit", "feature_logit")  # the last with the projected mse of the answers' tokens
PROMPTS = (2, 6, 2, 5, 3, 6, 2, 5)  # so that neither halves nor alternate samples predict equally many tokens


@dataclass(frozen=True)
class Answers:
    """Eight instructions of one epoch, in order."""

    order: Order

    @property
    def batches_per_epoch(self) -> int:
        return len(PROMPTS) // self.order.batch_size

    def epoch(self, epoch: int, start: int = 0) -> Iterator[TinyBatch]:
        inputs, labels = answers()
        for number in range(start, self.batches_per_epoch):
            size = self.order.batch_size
            index = torch.arange(number * size, (number + 1) * size)[self.order.rank :: self.order.world]
            student: Any = {name: tensor[index] for name, tensor in inputs.items()}
            yield TinyBatch(index, labels[index], student, student if self.order.teacher else None)


def answers() -> tuple[dict[str, Tensor], Tensor]:
    inputs = tiny.batch(rows=len(PROMPTS))
    prompt = torch.arange(inputs["input_ids"].shape[1]) < torch.tensor(PROMPTS)[:, None]
    return inputs, inputs["input_ids"].masked_fill(prompt | (inputs["attention_mask"] == 0), -100)


def gradient_of_a_step(name: str, folder: Path, **changes: Any) -> Tensor:
    """One optimiser step over all eight; the gradient stays where the step has left it."""
    recipe = make(name, "llama", "generate")
    data = TrainData(Answers, Answers, list(range(len(PROMPTS))))
    settings = config(epochs=1, cache_teacher=False, **changes)
    for _ in train(recipe, data, settings, folder, Control()):
        pass
    return torch.cat([p.grad.flatten() for p in recipe.parameters() if p.grad is not None])


def same(found: Tensor, whole: Tensor) -> None:
    assert float((found - whole).norm() / whole.norm()) < 1e-4


def test_the_weight_of_a_batch_is_what_its_loss_is_a_mean_over() -> None:
    labels = answers()[1]
    answer = TokenAnswer()
    compared = answer.compare(torch.zeros(*labels.shape, 2), labels)
    assert int(answer.weight(labels)) == len(compared.labels) == len(compared.outputs)
    assert ClassAnswer().weight(torch.arange(3)) == 3
    halves = [int(answer.weight(labels[part])) for part in (slice(0, 4), slice(4, 8), slice(0, 8, 2), slice(1, 8, 2))]
    assert halves[0] != halves[1]
    assert halves[2] > 1.5 * halves[3]


@pytest.mark.parametrize("name", NAMES)
def test_accumulated_answers_give_the_gradient_of_the_whole_batch(name: str, tmp_path: Path) -> None:
    whole = gradient_of_a_step(name, tmp_path / "whole", batch_size=8)
    for size in (1, 2):
        split = {"batch_size": size, "gradient_accumulation": 8 // size}
        same(gradient_of_a_step(name, tmp_path / str(size), **split), whole)


SCRIPT = """
import sys
from pathlib import Path
import torch
from distill.training import distributed
from tests.language.test_shares import NAMES, gradient_of_a_step
torch.set_num_threads(1)
with distributed.group() as rank:
    for name in NAMES:
        for size in (8, 4):
            folder = Path(sys.argv[1]) / f"{name}-{size}"
            found = gradient_of_a_step(name, folder, batch_size=size, gradient_accumulation=8 // size)
            torch.save(found, f"{folder}-{rank}.pt")
"""


def test_two_processes_give_the_gradient_of_the_whole_batch(tmp_path: Path) -> None:
    run_two(SCRIPT, [str(tmp_path)])
    for name in NAMES:
        whole = gradient_of_a_step(name, tmp_path / name, batch_size=8)
        for size in (8, 4):
            for rank in range(2):
                same(torch.load(tmp_path / f"{name}-{size}-{rank}.pt"), whole)
