"""A straightforward eager fp32 loop that does what the published code of arXiv 2511.14981 does, for comparison.

Per-image transforms in a DataLoader (in this process), the whole teacher in every step, features of the chosen layers
by hooks, projectors, cross-entropy on the detached last feature, OneCycleLR, and `.item()` of the loss in every step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from distill.training import probe


class Images(Dataset):
    """uint8 (n, h, w, 3) and labels -> one normalised float image at a time."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> None:
        self.pixels, self.labels = pixels, labels
        self.mean, self.std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        image = torch.from_numpy(self.pixels[i]).permute(2, 0, 1).float().div(255)
        return (image - self.mean) / self.std, int(self.labels[i])


def train(  # noqa: PLR0913 - a script's options
    student: nn.Module, teacher: nn.Module, student_layers: Sequence[str], teacher_layers: Sequence[str],
    data: Images, batch_size: int, steps: int, warmup: int, device: torch.device,
) -> float:  # fmt: skip
    """Images per second after `warmup` steps."""
    student.to(device).train()
    teacher.to(device).eval()
    kept: dict[str, Tensor] = {}
    for side, network, names in (("s", student, student_layers), ("t", teacher, teacher_layers)):
        for number, name in enumerate(names):
            network.get_submodule(name).register_forward_hook(_keep(kept, f"{side}{number}"))
    images = next(iter(DataLoader(data, batch_size)))[0].to(device)
    with torch.no_grad():
        student.eval()(images)
        teacher(images)
    student.train()
    count = len(student_layers)
    projectors = nn.ModuleList(
        nn.Conv2d(kept[f"s{i}"].shape[1], kept[f"t{i}"].shape[1], 1, bias=False) for i in range(count)
    ).to(device)
    head = student.head
    optimizer = torch.optim.AdamW([*student.parameters(), *projectors.parameters()], lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 7.5e-3, total_steps=steps + 1)
    done, start = 0, 0.0
    while done < steps:
        for batch, labels in DataLoader(data, batch_size, shuffle=True, drop_last=True):
            if done == warmup:
                start = probe.clock()
            images, labels = batch.to(device), labels.to(device)
            with torch.no_grad():
                teacher(images)
            student(images)
            loss = sum(_pair(projectors[i](kept[f"s{i}"]), kept[f"t{i}"]) for i in range(count)) / count
            pooled = kept[f"s{count - 1}"].mean((2, 3)).detach()
            loss = loss + F.cross_entropy(head(pooled), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            loss.item()
            done += 1
            if done == steps:
                break
    return (steps - warmup) * batch_size / (probe.clock() - start)


def _keep(kept: dict[str, Tensor], name: str):
    def hook(module: nn.Module, args: object, output: Tensor) -> None:
        kept[name] = output

    return hook


def _pair(student: Tensor, teacher: Tensor) -> Tensor:
    side = min(student.shape[-1], teacher.shape[-1])
    return F.mse_loss(F.adaptive_avg_pool2d(student, side), F.adaptive_avg_pool2d(teacher, side))
