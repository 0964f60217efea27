"""The watched device finds what an accelerator would fail on or wait for, and lets the rest pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.device.accelerator import DEVICE, Findings, watching


def watched(work: Callable[[Tensor], object], values: Tensor | None = None) -> Findings:
    with watching() as mode:
        given = (torch.arange(12.0).view(4, 3) if values is None else values).to(DEVICE)
        with mode.noting() as found:
            work(given)
    return found


MIXED = {
    "linear": lambda x: F.linear(x, torch.ones(2, 3)),
    "add": lambda x: x + torch.ones(4, 3),
    "index": lambda x: x[torch.tensor([0, 1])],
    "gather": lambda x: x.gather(1, torch.zeros(4, 1, dtype=torch.long)),
}
WAITS = {
    "item": lambda x: x.sum().item(),
    "bool": lambda x: bool((x > 0).all()),
    "cpu": lambda x: x.cpu(),
    "tolist": lambda x: x.tolist(),
    "mask": lambda x: x[x > 3],
    "nonzero": lambda x: x.nonzero(),
    "upload": lambda x: x + torch.tensor([1.0, 2.0, 3.0]).to(DEVICE),
}
CLEAN = {
    "scalar of the host": lambda x: x * torch.tensor(2.0),
    "asynchronous copy": lambda x: x + torch.ones(3).to(DEVICE, non_blocking=True),
    "made there": lambda x: x + torch.zeros(4, 3, device=x.device),
    "where": lambda x: torch.where(x > 3, x, 0.0),
}


@pytest.mark.parametrize("name", MIXED)
def test_a_tensor_left_on_the_host_is_found(name: str) -> None:
    assert watched(MIXED[name]).mixed


@pytest.mark.parametrize("name", WAITS)
def test_a_wait_of_the_host_is_found(name: str) -> None:
    found = watched(WAITS[name])
    assert found.waits
    assert not found.mixed


@pytest.mark.parametrize("name", CLEAN)
def test_what_neither_mixes_nor_waits_is_not(name: str) -> None:
    assert watched(CLEAN[name]) == Findings()


def test_the_backward_pass_is_watched() -> None:
    class Reads(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: Tensor) -> Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: object, grad: Tensor) -> Tensor:
            return grad * grad.sum().item()

    def work(x: Tensor) -> None:
        Reads.apply(x.requires_grad_()).sum().backward()

    assert watched(work).waits


def test_values_are_those_of_the_host() -> None:
    """What depends on values goes on as it would: a mask lets through what it lets through."""
    seen: list[object] = []
    watched(lambda x: seen.extend([tuple(x[x > 3].shape), x.sum().item(), x[:, 1].max().item()]))
    assert seen == [(8,), 66.0, 10.0]


def test_a_step_of_a_network_is_clean() -> None:
    network = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    with watching() as mode:
        network.to(DEVICE)
        optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
        images, labels = torch.ones(4, 3).to(DEVICE), torch.tensor([0, 1, 0, 1]).to(DEVICE)
        with mode.noting() as found:
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()
    assert found == Findings()
