"""Networks that run block by block: what lies where, whole runs, and what cannot."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from distill import offload, tasks
from distill.errors import InvalidConfig
from distill.models.cost import cost
from distill.running.session import open_task
from tests.device.accelerator import DEVICE, watching
from tests.tasks.conftest import _extended, house
from tests.tasks.house import House, go

__all__ = ["_extended", "house"]
CPU = torch.device("cpu")
NOW = ("classify_images", "generate_text")
TIMED = {"latency", "generation", "suppression_ms", "answer_ms"}
Get = Callable[[str], House]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.map, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.seen: list[str] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(self.map.weight.device.type)
        return x + self.norm(self.map(x))


class Network(nn.Module):
    """Three blocks, the last two with one matrix, between a stem and a head that have one matrix too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.blocks, self.head = nn.Linear(4, 4), nn.ModuleList(Block() for _ in range(3)), nn.Linear(4, 4)
        self.head.weight = self.stem.weight
        self.blocks[2].map.weight = self.blocks[1].map.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network().eval()


def room(size: int) -> offload.Room:
    return lambda _: size


def resting(network: nn.Module) -> list[str]:
    return [name for name, parameter in network.named_parameters() if parameter.device == CPU]


def test_a_stage_and_a_set_of_networks_are_their_blocks(network: Network) -> None:
    assert list(offload.blocks(network)) == list(network.blocks)
    both = nn.ModuleList([network, Network()])
    assert list(offload.blocks(both)) == [*network.blocks, *both[1].blocks]
    wide = nn.Module()
    wide.blocks, wide.map = nn.ModuleList([Block()]), nn.Linear(32, 32)
    assert list(offload.blocks(nn.ModuleList([wide]))) == [wide]  # its one block is little of it


@torch.no_grad()
def test_a_block_is_on_the_device_while_it_runs(network: Network) -> None:
    with offload.offloading(room=room(0)), watching() as watched:
        offload.put(network, DEVICE)
        assert resting(network) == [name for name, _ in network.named_parameters() if "blocks" in name]
        assert {b.device for b in network.buffers()} == {DEVICE}
        assert offload.device_of(network) == offload.device_of(network.blocks[1]) == DEVICE
        with watched.noting() as found:
            network(torch.zeros(2, 4, device=DEVICE))
        assert not found.mixed
        assert not found.waits
    assert [block.seen for block in network.blocks] == [["meta"]] * 3
    assert all(name.startswith("blocks") for name in resting(network))


@torch.no_grad()
def test_answers_gradients_and_weights_stay_what_they_were(network: Network) -> None:
    x, state = torch.randn(2, 4), copy.deepcopy(network.state_dict())
    answer = network(x)
    with offload.offloading(room=room(0)):
        offload.put(network, CPU)
        offload.put(network, CPU)  # again: it rests as before
        assert torch.equal(network(x), answer)
        assert torch.equal(copy.deepcopy(network)(x), answer)
        assert cost(network, x) == cost(Network().eval(), x)
        with torch.enable_grad():
            network(x).sum().backward()
            grown = {name: parameter.grad for name, parameter in network.named_parameters()}
            network.zero_grad()
    offload.take_back(network)
    assert torch.equal(network(x), answer)
    with torch.enable_grad():
        network(x).sum().backward()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(grown[name], parameter.grad)
    assert all("forward" not in vars(part) for part in network.modules())
    assert network.blocks[1].map.weight is network.blocks[2].map.weight
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(("share", "whole"), [(1.9, False), (2.0, True)])
def test_what_takes_up_to_half_of_the_free_memory_goes_whole(network: Network, share: float, whole: bool) -> None:
    held = sum(parameter.numel() * 4 for parameter in network.parameters())
    with offload.offloading(room=room(int(share * held))):
        offload.put(network, CPU)
    assert offload.rests(network) is not whole


def test_without_being_asked_nothing_rests(network: Network) -> None:
    with offload.offloading(asked=False, room=room(0)):
        offload.put(network, CPU)
    assert not offload.rests(network)


class Around(nn.Module):
    """Uses its block's weights without calling it."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block()])

    def forward(self, x: Tensor) -> Tensor:
        return x * self.blocks[0].map.weight


@torch.no_grad()
def test_weights_that_are_used_without_their_block() -> None:
    def run() -> None:
        with offload.offloading(room=room(0)):
            offload.put(Around(), DEVICE)(torch.zeros(4, 4, device=DEVICE))

    with pytest.raises(InvalidConfig) as refused:
        run()
    assert refused.value.details["field"] == "sharding"


@pytest.mark.parametrize(
    "name", [name if name in NOW else pytest.param(name, marks=pytest.mark.slow) for name in tasks.names()]
)
def test_a_run_with_networks_that_rest_is_the_run_without(name: str, house: Get, tmp_path: Path) -> None:
    """Looked at, scored, trained, evaluated and delivered, with all blocks of all networks out of the device."""
    spec = house(name).spec(recipe="feature_logit", max_steps=2)
    go(spec, tmp_path / "whole")
    with offload.offloading(room=room(0)):
        given = open_task(spec, tmp_path / "work")
        go(spec, tmp_path / "resting")
    assert given.teacher is not None
    assert offload.rests(given.teacher.module)
    one, other = (json.loads((tmp_path / f / "artifacts" / "report.json").read_text()) for f in ("whole", "resting"))
    assert one["digests"] == other["digests"]
    assert other["teacher"]["latency"]["offloaded"]
    for column in ("student", "teacher"):
        measured = one[column].keys() - TIMED
        assert {key: one[column][key] for key in measured} == {key: other[column][key] for key in measured}


@pytest.mark.gpu
@torch.no_grad()
def test_the_device_holds_one_block_at_a_time() -> None:
    device, width = torch.device("cuda"), 4096
    network = nn.Sequential(*(nn.Sequential(nn.Sequential(nn.Linear(width, width), nn.ReLU())) for _ in range(16)))
    x = torch.randn(8, width)
    answer = network(x)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    with offload.offloading(room=room(0)):
        found = offload.put(network, device)(x.to(device))
    block = 4 * width * (width + 1)
    assert torch.cuda.max_memory_allocated(device) - before < 3 * block
    torch.testing.assert_close(found.cpu(), answer, rtol=1e-2, atol=1e-3)
