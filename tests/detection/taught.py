"""A detector that is trained for a few steps, and one that is written and read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill.models import check, load, save
from distill.tasks.detect_objects.answer import BoxAnswer
from distill.tasks.detect_objects.heads import head_of
from distill.tasks.detect_objects.peak import peak_of
from distill.training.peak import peak_learning_rate
from distill.types import Architecture


def learnt(network: nn.Module, architecture: Architecture, images: Tensor, labels: Tensor, steps: int) -> list[float]:
    """The detector's own loss in each of so many steps on one batch, as a job's defaults have it: AdamW, one cycle, the
    peak of `learning_rate: auto`."""
    answer, seen = BoxAnswer(head_of(network)), list[float]()
    peak, _ = peak_of(architecture) or peak_learning_rate(network)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=steps)
    for _ in range(steps):
        loss = answer.loss(answer.compare(network(images), labels))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        seen.append(float(loss.detach()))
    return seen


def read_back(network: nn.Module, architecture: Architecture, images: Tensor, path: Path) -> tuple[nn.Module, Any]:
    """Written, checked and loaded, the network answers as it did; it, and what the check found."""
    save(network, path)
    report = check(architecture, path)
    again = load(report.architecture, path)
    torch.testing.assert_close(again(images), network.eval()(images))
    return again, report
