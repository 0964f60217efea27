"""No network answers from weights that it no longer has: after loads, steps, averages, resuming and export its logits
are those of a fresh network that the library alone filled with the same state dict."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.quality import families
from distill import models
from distill.answers import ClassAnswer
from distill.control import Control
from distill.evaluate import latency
from distill.layers import discover
from distill.layers.modes import clear_caches, evaluating
from distill.recipe_parts.base import Setup
from distill.recipe_parts.tail import Tail
from distill.recipes.cross_entropy import CrossEntropy
from distill.train import train
from distill.training import checkpoint
from distill.training.data import Order, TrainData
from distill.training.head import classifier_of
from distill.training.mode import Mode
from distill.training.validate import validate
from distill.types import Architecture, DistillConfig

CLASSES = 4
CACHING = {  # all families that cache what they compute from weights in eval mode
    "timm:levit_128s": 64,
    "timm:efficientformer_l1": 224,
    "timm:efficientformerv2_s0": 64,
    "timm:efficientvit_m0": 64,
    "timm:tiny_vit_5m_224": 64,
}
QUICK = ("timm:levit_128s", "timm:efficientformer_l1", "retort:resnet8")


def sizes(quick: tuple[str, ...] = QUICK, others: tuple[str, ...] = tuple(families.NAMES)) -> list[Any]:
    """(name, size) parameters; all but the quick ones are marked slow."""
    names = dict.fromkeys([*quick, *others])
    marks = {True: (), False: pytest.mark.slow}
    return [pytest.param(name, CACHING.get(name), id=name, marks=marks[name in quick]) for name in names]


def side(name: str) -> int:
    """A small size that the network takes."""
    own = models.preprocessing(Architecture(name=name)).size[0]
    return families.SIZES.get(name, own if models.pin(Architecture(name=name), own).options else 64)


def fresh(name: str, size: int) -> nn.Module:
    """By the library alone; never run."""
    return copy.deepcopy(made(name, size))


@lru_cache(maxsize=1)
def made(name: str, size: int) -> nn.Module:
    library, _, key = name.partition(":")
    if library == "timm":
        import timm

        options = models.pin(Architecture(name=name), size).options
        return timm.create_model(key, pretrained=False, num_classes=CLASSES, **options)
    if library == "torchvision":
        from torchvision.models import get_model

        auxiliary = key in ("googlenet", "inception_v3")
        more: dict[str, Any] = {"init_weights": False, "aux_logits": False} if auxiliary else {}
        return get_model(key, weights=None, num_classes=CLASSES, **more)
    return models.build(Architecture(name=name), CLASSES)


@lru_cache(maxsize=4)
@torch.no_grad()
def weights(name: str, size: int, seed: int) -> dict[str, Tensor]:
    """A state dict in which no parameter is at its initial value: attention biases begin at 0."""
    network = fresh(name, size)
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        scale = parameter.abs().mean().clamp(min=0.05)
        parameter += 0.3 * scale * torch.randn(parameter.shape, generator=generator)
    return {key: value.clone() for key, value in network.state_dict().items()}


def plain(name: str, size: int, state: dict[str, Tensor], images: Tensor) -> Tensor:
    network = fresh(name, size).eval()
    network.load_state_dict(state)
    return answers(network, images)


@torch.no_grad()
def answers(network: nn.Module, images: Tensor) -> Tensor:
    return network.eval()(images)


def pictures(size: int, n: int = 2) -> Tensor:
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("name", "size"), sizes())
def test_a_load_after_a_forward_pass_leaves_nothing_of_it(tmp_path: Path, name: str, size: int | None) -> None:
    size = size or side(name)
    images, state = pictures(size), weights(name, size, 0)
    expected = plain(name, size, state, images)

    network = models.build(models.pin(Architecture(name=name), size), CLASSES)
    discover(network, images)
    classifier_of(network, images)
    latency(network, images, repeats=3)
    models.cost(network, images)
    with evaluating(network), torch.inference_mode():
        network(images)
    network.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(network.eval()(images), expected)
        network.load_state_dict(other := weights(name, size, 1))
        clear_caches(network)
        assert torch.equal(network(images), again := plain(name, size, other, images))
        assert torch.equal(copy.deepcopy(network)(images), again)

    models.save(network, tmp_path / "w.safetensors")
    loaded = models.load(models.pin(Architecture(name=name), size), tmp_path / "w.safetensors", CLASSES)
    with torch.no_grad():
        assert torch.equal(loaded(images), again)


class Pictures:
    """Four pictures in two batches."""

    batches_per_epoch = 2

    def __init__(self, size: int, order: Order) -> None:
        self.images, self.labels, self.order = pictures(size, 4), torch.arange(4) % CLASSES, order

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
        for number in range(start, 2):
            index = torch.arange(2 * number, 2 * number + 2)
            images = self.images[index]
            yield SimpleNamespace(
                index=index, host_index=index, labels=self.labels[index], student=images,
                teacher=images if self.order.teacher else None,
            )  # fmt: skip


def data(size: int) -> TrainData:
    def opened(order: Order) -> Pictures:
        return Pictures(size, order)

    return TrainData(opened, opened, [0, 1, 2, 3])


def run(recipe: CrossEntropy, size: int, folder: Path, control: Control, resume: Path | None = None) -> Iterator[Any]:
    config = DistillConfig(
        recipe="cross_entropy", epochs=2, batch_size=2, learning_rate=0.01, ema_decay=0.5, fit_head=False, device="cpu",
        precision="fp32", channels_last=False, compile=False,
    )  # fmt: skip
    return train(recipe, data(size), config, folder, control, resume)


@pytest.mark.parametrize(("name", "size"), sizes(("timm:levit_128s", "retort:resnet8")))
def test_a_run_ends_with_the_logits_of_its_weights(tmp_path: Path, name: str, size: int | None) -> None:
    """A forward pass, steps, validation with averaged weights, a handover, resuming, and the last weights."""
    ends_with_its_logits(tmp_path, name, size or side(name), stop=False)


@pytest.mark.parametrize(("name", "size"), sizes(("timm:levit_128s",), tuple(CACHING)))
def test_a_stopped_run_ends_with_the_logits_of_its_best_weights(tmp_path: Path, name: str, size: int) -> None:
    ends_with_its_logits(tmp_path, name, size, stop=True)


def ends_with_its_logits(tmp_path: Path, name: str, size: int, stop: bool) -> None:
    images = pictures(size)

    def recipe() -> CrossEntropy:
        torch.manual_seed(0)
        network = models.build(models.pin(Architecture(name=name), size), CLASSES)
        network.load_state_dict(weights(name, size, 0))
        discover(network, images)
        return CrossEntropy(Setup(network, None, CLASSES))

    control = Control(handover=True)
    list(run(recipe(), size, tmp_path, control))
    resumed, control = recipe(), Control()
    for event in run(resumed, size, tmp_path, control, checkpoint.existing(tmp_path)[-1]):
        if event.kind == "metrics" and event.data["split"] == "validation" and stop:
            control.stop = True
    network = resumed.exported()
    state = {key: value.clone() for key, value in network.state_dict().items()}
    assert torch.equal(answers(network, images), plain(name, size, state, images))


@pytest.mark.parametrize(("name", "size"), sizes(("timm:levit_128s",), tuple(CACHING)))
def test_validation_with_averaged_weights_leaves_none_of_them(name: str, size: int) -> None:
    images, mine, averaged = pictures(size, 4), weights(name, size, 0), weights(name, size, 1)
    network = models.build(models.pin(Architecture(name=name), size), CLASSES)
    network.load_state_dict(mine)
    source = Pictures(size, Order(2, torch.device("cpu"), shuffle=False, drop_last=False, teacher=False, augment=False))
    with evaluating(network), torch.no_grad():
        network(images)
        found = validate(network, source, ClassAnswer(), Mode(), torch.device("cpu"), averaged)
        assert torch.equal(network(images), plain(name, size, mine, images))
    expected = torch.nn.functional.cross_entropy(plain(name, size, averaged, images), source.labels)
    assert found["loss"] == pytest.approx(float(expected), rel=1e-4)


class Remembers(nn.Module):
    """Keeps what it computed from its weight in eval mode; as timm's attention biases of some versions do, forgets it
    in `train()` alone."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.kept = nn.Parameter(torch.ones(2)), None

    def train(self, mode: bool = True) -> Remembers:
        self.kept = None if mode else self.kept
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return x * self.weight
        self.kept = self.weight * 1 if self.kept is None else self.kept
        return x * self.kept


@pytest.mark.parametrize("error", [False, True])
def test_evaluating_puts_every_mode_back_and_clears(error: bool) -> None:
    shared = Remembers()
    network = nn.Sequential(nn.Sequential(shared, nn.Dropout()), nn.Sequential(shared, Remembers()), Remembers())
    shared.eval(), network[1].train(), network[1][1].eval(), network[2].eval(), shared.eval()
    before = [module.training for module in network.modules()]
    try:
        with evaluating(network):
            assert not any(module.training for module in network.modules())
            network(torch.ones(1, 2))
            if error:
                raise ValueError
    except ValueError:
        assert error
    assert [module.training for module in network.modules()] == before
    assert all(module.kept is None for module in network.modules() if isinstance(module, Remembers))


def test_a_teachers_tail_remembers_nothing_of_its_check() -> None:
    """SimKD's shadow of the teacher shares its tensors and not its caches."""
    network = nn.Sequential(nn.Linear(2, 2), Remembers()).eval().requires_grad_(False)
    tail = Tail(network, "0", torch.ones(2, 2))
    with torch.no_grad():
        network[1].weight.fill_(3)
    assert torch.equal(tail(torch.ones(2, 2)), torch.full((2, 2), 3.0))
