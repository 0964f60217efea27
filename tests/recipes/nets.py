"""Tiny real networks for the recipe tests, and the set-ups that pair them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from distill.layers import capture
from distill.recipe_parts.base import Setup

CLASSES = 5
SAMPLES = 64


class TinyCNN(nn.Module):
    """Three stages of conv + BN + ReLU, pooled, one linear head. (n, 3, h, w) -> (n, CLASSES)."""

    def __init__(self, width: int = 8, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        widths = [3, width, 2 * width, 4 * width]
        self.stages = nn.Sequential(*(self._stage(a, b) for a, b in pairwise(widths)))
        self.head = nn.Linear(widths[-1], CLASSES)

    @staticmethod
    def _stage(c_in: int, c_out: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(c_in, c_out, 3, 2, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.stages(x).mean((2, 3)))
        return y


class TinyViT(nn.Module):
    """Patches of 4, a class token, three encoder blocks, head on the class token. (n, 3, 16, 16) -> (n, CLASSES)."""

    def __init__(self, width: int = 12, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.class_token = nn.Parameter(torch.randn(1, 1, width) * 0.1)
        self.stages = nn.Sequential(*(nn.TransformerEncoderLayer(width, 2, 24, 0.0, batch_first=True) for _ in "abc"))
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), tokens], 1)
        y: Tensor = self.head(self.stages(tokens)[:, 0])
        return y


class ChannelsLastNet(TinyCNN):
    """TinyCNN whose stages hand on (n, h, w, c), as Swin does."""

    @staticmethod
    def _stage(c_in: int, c_out: int) -> nn.Module:
        return _ChannelsLastStage(c_in, c_out)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.stages(x.permute(0, 2, 3, 1)).mean((1, 2)))
        return y


class _ChannelsLastStage(nn.Module):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(c_in, c_out, 3, 2, 1, bias=False), nn.LayerNorm(c_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)).relu()


class TinyEncoder(nn.Module):
    """Token ids in a dict, logits in a dict, as transformers do."""

    def __init__(self, width: int = 12, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(20, width)
        self.stages = nn.Sequential(*(nn.TransformerEncoderLayer(width, 2, 24, 0.0, batch_first=True) for _ in "abc"))
        self.head = nn.Linear(width, CLASSES)

    def forward(self, input_ids: Tensor) -> dict[str, Tensor]:
        return {"logits": self.head(self.stages(self.embedding(input_ids)).mean(1))}


STAGES = ("stages.0", "stages.1", "stages.2")


def images(n: int = 6, side: int = 16, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


def labels(n: int = 6) -> Tensor:
    return torch.arange(n) % CLASSES


def shapes_of(model: nn.Module, names: Sequence[str], example: Any) -> tuple[tuple[int, ...], ...]:
    modes = {m: m.training for m in model.modules()}
    model.eval()
    with torch.no_grad(), capture(model, tuple(names)) as features:
        model(**example) if isinstance(example, dict) else model(example)
    for module, mode in modes.items():
        module.training = mode
    return tuple(tuple(features[name].shape[1:]) for name in names)


def pair(
    student: nn.Module,
    teacher: nn.Module,
    student_layers: Sequence[str] = STAGES,
    teacher_layers: Sequence[str] = STAGES,
    student_example: Any = None,
    teacher_example: Any = None,
) -> Setup:
    student_example = images(2) if student_example is None else student_example
    teacher_example = images(2) if teacher_example is None else teacher_example
    return Setup(
        student=student,
        teacher=teacher,
        num_classes=CLASSES,
        student_layers=tuple(student_layers),
        teacher_layers=tuple(teacher_layers),
        student_shapes=shapes_of(student, student_layers, student_example),
        teacher_shapes=shapes_of(teacher, teacher_layers, teacher_example),
        student_example=student_example,
        teacher_example=teacher_example,
        indices=tuple(range(SAMPLES)),
    )


def targets_of(recipe: Any, given: Any) -> dict[str, Tensor]:
    """As the loop gets them: of a batch whose samples are the first of the training data."""
    count = len(next(iter(given.values())) if isinstance(given, dict) else given)
    targets: dict[str, Tensor] = recipe.told(recipe.targets(given), torch.arange(count))
    return targets


def step(recipe: Any, n: int = 6, side: int = 16, teacher_side: int = 16) -> dict[str, Tensor]:
    """One forward pass, with the same random numbers each time."""
    torch.manual_seed(7)
    parts: dict[str, Tensor] = recipe(images(n, side), labels(n), targets_of(recipe, images(n, teacher_side)))
    return parts
