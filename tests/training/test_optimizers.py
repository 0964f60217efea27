"""Optimizers by name: each goes on from its saved state; what cannot run here is refused by name."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from distill import torchvision_shim  # noqa: F401
from distill.answers import ClassAnswer, Compared
from distill.answers.classes import PartlyLabelledAnswer
from distill.control import Control
from distill.errors import InvalidConfig, UnknownName
from distill.optimisation import DECOUPLED, LIKE_ADAMW, LIKE_SGD, refusals
from distill.tasks.generate_text.answer import TokenAnswer
from distill.tasks.segment_images.answer import MaskAnswer
from distill.train import train
from distill.training import checkpoint, optimizers
from distill.training.data import Order
from distill.training.plan import Descent
from distill.types import DistillConfig
from tests.training.conftest import alone, config, network, tiny_data, tiny_recipe
from tests.training.test_resume import drain, same

ENTRIES = {entry["name"]: entry for entry in optimizers.catalogue()}
RUNNABLE = [name for name, entry in ENTRIES.items() if not entry["refused"]]


def _stepped(student: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        optimizer.zero_grad()
        images = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        nn.functional.cross_entropy(student(images), torch.arange(8) % 4).backward()
        optimizer.step()


@pytest.mark.parametrize("name", RUNNABLE)
def test_each_goes_on_from_its_saved_state_bit_for_bit(name: str) -> None:
    def made(student: nn.Module) -> torch.optim.Optimizer:
        return optimizers.make([{"params": list(student.parameters())}], name, Descent(0.01, 0.3))

    student = network(6, 3, dropout=0.0)
    optimizer = made(student)
    before = copy.deepcopy(student.state_dict())
    _stepped(student, optimizer, range(3))
    assert not same(before, student.state_dict())
    weights, state = copy.deepcopy(student.state_dict()), copy.deepcopy(optimizer.state_dict())
    _stepped(student, optimizer, range(3, 6))

    torch.manual_seed(99)
    second = network(6, 4, dropout=0.0)
    second.load_state_dict(weights)
    again = made(second)
    again.load_state_dict(state)
    _stepped(second, again, range(3, 6))
    assert same(student.state_dict(), second.state_dict())


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry["refused"]])
def test_what_cannot_run_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        optimizers.facts(name)
    assert name in str(caught.value)
    assert caught.value.remedy


def test_an_unknown_name_is_refused_with_near_ones() -> None:
    with pytest.raises(UnknownName, match="adamw"):
        optimizers.facts("adamww")


def test_names_with_known_rates_are_names() -> None:
    assert set(RUNNABLE) >= LIKE_ADAMW | LIKE_SGD | DECOUPLED


def test_facts_are_those_of_the_class() -> None:
    assert [optimizers.facts(name).momentum for name in ("adamw", "sgd", "rmsprop", "adam")] == [0, 1, 1, 0]
    assert [optimizers.facts(name).nesterov for name in ("adamw", "sgd", "lars", "adam")] == [0, 1, 1, 0]


REFUSED: dict[str, dict[str, Any]] = {
    "momentum": {"momentum": 0.9},
    "nesterov": {"nesterov": True},
    "milestones": {"milestones": [2]},
    "gamma": {"gamma": 0.5},
    "learning_rate": {"optimizer": "lion", "learning_rate": "auto"},
}


@pytest.mark.parametrize("field", REFUSED)
def test_settings_that_cannot_be_meant_are_refused_with_their_field(field: str) -> None:
    given = config(**REFUSED[field])
    found = list(refusals(given, optimizers.facts(given.optimizer), "images"))
    assert [each.field for each in found] == [field]
    assert found[0].remedy


@pytest.mark.parametrize("milestones", [[2, 1], [1, 1], [3], [1, 4]])
def test_milestones_rise_to_below_the_epochs(milestones: list[float]) -> None:
    given = config(schedule="multi_step", milestones=milestones, epochs=3)
    assert [each.field for each in refusals(given, optimizers.OWN["adamw"], "images")] == ["milestones"]
    fine = config(schedule="multi_step", milestones=[1, 2.5], epochs=3)
    assert not list(refusals(fine, optimizers.OWN["adamw"], "images"))


def test_nesterov_without_momentum_is_refused() -> None:
    given = config(optimizer="sgd", nesterov=True, momentum=0)
    assert [each.field for each in refusals(given, optimizers.OWN["sgd"], "images")] == ["nesterov"]


def test_sgd_with_steps_equals_a_naive_loop(tmp_path: Path) -> None:
    changes = {"optimizer": "sgd", "momentum": 0.8, "nesterov": True, "weight_decay": 0.1}
    settings = config(epochs=4, schedule="multi_step", milestones=[1, 2.4], gamma=0.5, **changes)
    data, recipe = tiny_data(), alone(dropout=0.0)
    drain(train(recipe, data, settings, tmp_path, Control()))

    student = network(6, 3, dropout=0.0)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.01, momentum=0.8, nesterov=True, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [5, 12], gamma=0.5)
    order = Order(8, torch.device("cpu"), shuffle=True, drop_last=True, teacher=False, augment=False)
    for epoch in range(4):
        for batch in data.open_train(order).epoch(epoch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(student(batch.student), batch.labels).backward()
            optimizer.step()
            schedule.step()
    for name, value in student.state_dict().items():
        torch.testing.assert_close(recipe.exported().state_dict()[name], value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("answer", [ClassAnswer, PartlyLabelledAnswer, TokenAnswer, MaskAnswer])
def test_smoothed_labels_teach_and_labels_as_they_are_judge(answer: Any) -> None:
    compared = Compared(torch.randn(6, 5, generator=torch.Generator().manual_seed(1)), torch.arange(6) % 5)
    log = compared.outputs.log_softmax(1)
    plain = -log[torch.arange(6), compared.labels].mean()
    made = answer(0.2)
    torch.testing.assert_close(made.loss(compared), 0.8 * plain - 0.2 * log.mean())
    assert torch.equal(made.validation_loss(compared), answer().loss(compared))
    torch.testing.assert_close(made.validation_loss(compared), plain)


VARIANTS: dict[str, dict[str, Any]] = {
    "sgd_one_cycle": {"optimizer": "sgd"},
    "sgd_multi_step": {"optimizer": "sgd", "nesterov": True, "schedule": "multi_step"},
    "adamw_cosine": {"schedule": "cosine", "label_smoothing": 0.1},
    "adam_constant": {"optimizer": "adam", "schedule": "constant", "warmup_fraction": 0.5},
    "lamb_cosine": {"optimizer": "lamb", "schedule": "cosine"},
    "lion_one_cycle": {"optimizer": "lion"},
    "adafactor_multi_step": {"optimizer": "adafactor", "schedule": "multi_step", "milestones": [1, 2]},
    "preset": {"preset": "crd", "epochs": 3, "batch_size": 8, "augmentation": "none"},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_handover_and_resume_is_bit_identical(tmp_path: Path, variant: str) -> None:
    settings, data = config(**VARIANTS[variant]), tiny_data()
    straight = tiny_recipe()
    drain(train(straight, data, settings, tmp_path / "a", Control()))

    control = Control()
    _, outcome = drain(train(tiny_recipe(), data, settings, tmp_path / "b", control), control, handover_at=7)
    assert outcome.ending == "handover"
    torch.manual_seed(99)
    second, newest = tiny_recipe(), checkpoint.existing(tmp_path / "b")[-1]
    drain(train(second, data, settings, tmp_path / "b", Control(), resume=newest))
    assert same(straight.state_dict(), second.state_dict())


def _resolved(folder: Path, **changes: Any) -> tuple[dict[str, Any], dict[str, str]]:
    given = DistillConfig(**({"device": "cpu", "max_steps": 1} | changes))
    events = train(alone(), tiny_data(train=80), given, folder, Control())
    first = next(events)
    events.close()
    json.dumps(first.data)
    return first.data["config"], first.data["reasons"]


def test_a_default_job_resolves_to_what_it_always_was(tmp_path: Path) -> None:
    found, reasons = _resolved(tmp_path)
    assert (found["optimizer"], found["schedule"]) == ("adamw", "one_cycle")
    assert (found["weight_decay"], found["warmup_fraction"], found["label_smoothing"]) == (0.01, 0.3, 0)
    assert [found[name] for name in ("momentum", "nesterov", "milestones", "gamma", "preset")] == [None] * 5
    assert {"weight_decay", "warmup_fraction", "learning_rate"} <= reasons.keys()


def test_the_crd_preset_is_echoed_in_full(tmp_path: Path) -> None:
    found, reasons = _resolved(tmp_path, preset="crd", max_steps=None)
    assert {name: found[name] for name in (
        "optimizer", "learning_rate", "momentum", "nesterov", "weight_decay", "schedule", "gamma", "epochs",
        "batch_size", "augmentation",
    )} == {
        "optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": False, "weight_decay": 5e-4,
        "schedule": "multi_step", "gamma": 0.1, "epochs": 240, "batch_size": 64, "augmentation": "crop_flip",
    }  # fmt: skip
    assert list(found["milestones"]) == [150, 180, 210]
    assert all(reasons[name].startswith("preset crd") for name in ("optimizer", "momentum", "learning_rate"))


def test_the_users_own_value_wins_over_the_presets(tmp_path: Path) -> None:
    found, reasons = _resolved(tmp_path, preset="crd", momentum=0.5, learning_rate=0.02)
    assert (found["momentum"], found["learning_rate"], found["weight_decay"]) == (0.5, 0.02, 5e-4)
    assert reasons["momentum"].startswith("given")
    assert reasons["weight_decay"].startswith("preset crd")
